import { freePort } from '../../waiting.ts'
import { MODEL } from '../asks.ts'
import { type Counters, type Engine, readMetrics, type Server } from '../engine.ts'
import { embedding, generating } from '../groups.ts'
import { startServer } from '../process.ts'
import { type Installed, install } from './setup.ts'

const SLOTS = 8
const CONTEXT = 2048
const START_SECONDS = 60

/** llama-server on the CPU, with its counters. */
export async function provideLlama(tell: (line: string) => void): Promise<Engine> {
  const installed = await install(tell)
  const embed = ['--embeddings', '--pooling', 'mean']
  return {
    name: 'llama.cpp',
    version: `${installed.version}, Debian's package`,
    metering: 'exact',
    countsPromptPerChoice: false,
    isQuiet: false,
    roles: [
      {
        name: 'embeddings',
        start: () => start(installed, 'embeddings', embed),
        groups: (seed) => embedding(seed, ['float', 'base64']),
      },
      { name: 'generate', start: () => start(installed, 'generate', []), groups: generating },
    ],
    remarks: [
      'Its prompts are those that it worked on and those from its cache together; with `n`, each counts once.',
      'Whether the caller of a whole answer is still there it asks only in a second in which no other answer moves: under load such an answer is made to its end. Its streams stop at once.',
      'It closes its connection behind the end of a stream and has not said so: a request that nginx sends on it in that moment is 502.',
      'Where the first token of a stream is a part of a character, `/v1/messages` has no `message_start`, and so tells no prompt.',
    ],
  }
}

async function start(installed: Installed, role: string, more: string[]): Promise<Server> {
  const port = await freePort()
  const command = [
    ...[...installed.command, '--model', installed.model, '--alias', MODEL, '--host', '127.0.0.1'],
    ...['--port', `${port}`, '--metrics', '--slots', '--threads', '1'],
    ...['--parallel', `${SLOTS}`, '--ctx-size', `${SLOTS * CONTEXT}`, ...more],
  ]
  const { env } = installed
  const name = `llama-${role}`
  const started = await startServer({ name, command, env, port, seconds: START_SECONDS })
  return {
    port,
    counters: () => readCounters(port),
    crash: () => started.signal('', 'SIGKILL'),
    stop: started.stop,
  }
}

async function readCounters(port: number): Promise<Counters> {
  const metrics = await readMetrics(port)
  const read = (name: string) => metrics.get(`llamacpp:${name}`) ?? 0
  return {
    prompt: read('prompt_tokens_total') + read('prompt_tokens_cached_total'),
    completion: read('tokens_predicted_total'),
    busy: read('requests_processing') + read('requests_deferred'),
  }
}
