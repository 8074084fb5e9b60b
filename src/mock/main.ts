import { parseArgs } from 'node:util'
import { type MockOptions, startMock } from './server.ts'
import { type Dialect, dialects } from './settings.ts'

const usage = `Usage: mock [options]
  --port N        port to listen on (8000)
  --host ADDRESS  address to listen on (127.0.0.1)
  --socket PATH   UNIX socket to listen on, instead of a port
  --dialect NAME  ${dialects.join(', ')} (vllm)
  --ttft MS       time to the first token (100)
  --itl MS        time between tokens (12)
  --tokens N      tokens of an answer (64)
  --api-key KEY   ask for this key, as vLLM's --api-key does`

/** Runs the mock as a program, with the pace of an 8B model on one H100, until SIGTERM or SIGINT. */
export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      port: { type: 'string', default: '8000' },
      host: { type: 'string', default: '127.0.0.1' },
      socket: { type: 'string' },
      dialect: { type: 'string', default: 'vllm' },
      ttft: { type: 'string', default: '100' },
      itl: { type: 'string', default: '12' },
      tokens: { type: 'string', default: '64' },
      'api-key': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    return
  }
  const options: MockOptions = {
    port: numberOf('--port', values.port),
    host: values.host,
    dialect: dialectOf(values.dialect),
    ttftMs: numberOf('--ttft', values.ttft),
    itlMs: numberOf('--itl', values.itl),
    tokens: numberOf('--tokens', values.tokens),
    ...(values.socket === undefined ? {} : { socket: values.socket }),
    ...(values['api-key'] === undefined ? {} : { apiKey: values['api-key'] }),
  }
  const mock = await startMock(options)
  console.log(`Mock ${options.dialect} ready on ${mock.url}`)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void mock.close())
}

function numberOf(name: string, value: string): number {
  const number = Number(value)
  if (value !== '' && Number.isFinite(number) && number >= 0) return number
  throw new Error(`Cannot read ${name} ${value}: give a number from 0`)
}

function dialectOf(value: string): Dialect {
  const dialect = dialects.find((known) => known === value)
  if (dialect !== undefined) return dialect
  throw new Error(`Unknown --dialect ${value}: give one of ${dialects.join(', ')}`)
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const isBusy = 'code' in error && error.code === 'EADDRINUSE'
  return isBusy ? `Cannot start the mock, ${error.message}: choose another --port` : error.message
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(explain(error))
  process.exitCode = 2
})
