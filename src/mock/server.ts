import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Answer, BodyAnswer } from './answer.ts'
import { readBody } from './body.ts'
import { createClock } from './clock.ts'
import { createControl } from './control.ts'
import { answerRequest } from './engine.ts'
import { createLog, type MockRecord, now } from './log.ts'
import { createRoutes } from './routes.ts'
import { breakOff, sendBody, sendStream } from './send.ts'
import { type Dialect, defaults, type Settings, SettingsError } from './settings.ts'
import type { Shared } from './shared.ts'

export type { MockRecord } from './log.ts'

/** A running mock. `reset` empties the log and forgets settings for next requests. */
export type Mock = {
  url: string
  port: number
  close(): Promise<void>
  log(): MockRecord[]
  reset(): void
}

export type MockOptions = {
  /** 0 takes any free port. */
  port?: number
  host?: string
  /** A UNIX socket's path, instead of a port. */
  socket?: string
  apiKey?: string
  dialect?: Dialect
  ttftMs?: number
  itlMs?: number
  tokens?: number
}

// uvicorn's VLLM_HTTP_TIMEOUT_KEEP_ALIVE: a gate that keeps its connections longer finds them closed.
const keepAliveMs = 5000
// uvicorn's too. Node's 511 makes some of 1,024 callers at once wait a second for their second SYN.
const backlog = 2048

/** Starts a server that answers as vLLM does. Rejects when the address is taken. */
export async function startMock(options: MockOptions = {}): Promise<Mock> {
  const shared: Shared = {
    settings: settingsOf(options),
    apiKey: options.apiKey,
    routes: createRoutes(),
    log: createLog(),
    clock: createClock(),
  }
  const control = createControl(shared)
  const server = createServer(
    { noDelay: true, keepAliveTimeout: keepAliveMs },
    (request, response) => {
      if (control.isFor(request)) void control.handle(request, response)
      else void handle(shared, control.takeNext, request, response)
    },
  )
  server.requestTimeout = 0
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    const place =
      options.socket === undefined
        ? { port: options.port ?? 0, host: options.host ?? '127.0.0.1' }
        : { path: options.socket }
    server.listen({ ...place, backlog }, resolve)
  })
  const port = options.socket === undefined ? (server.address() as AddressInfo).port : 0
  return {
    url: options.socket
      ? `unix:${options.socket}`
      : `http://${options.host ?? '127.0.0.1'}:${port}`,
    port,
    log: () => shared.log.records(),
    reset: control.reset,
    close: () =>
      new Promise((resolve) => {
        shared.clock.stop()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function settingsOf(options: MockOptions): Settings {
  return {
    ...defaults,
    dialect: options.dialect ?? defaults.dialect,
    ttftMs: options.ttftMs ?? defaults.ttftMs,
    itlMs: options.itlMs ?? defaults.itlMs,
    tokens: options.tokens ?? defaults.tokens,
  }
}

async function handle(
  shared: Shared,
  takeNext: (settings: Settings) => Settings,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const record = shared.log.open(request)
  response.on('close', () => {
    // Noted already where the mock itself broke off.
    if (record.closedAt !== null) return
    record.closedAt = now()
    record.aborted = record.lastByteAt === null
  })
  const body = await readBody(request)
  if (body === undefined) return
  shared.log.body(record, body)
  try {
    const { settings, answer } = answerRequest(shared, takeNext, request, body)
    if (settings.dialect !== 'vllm-rust') response.setHeader('server', serverName(settings.dialect))
    send(shared, settings, answer, response, record)
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    send(shared, defaults, plainText(error.message), response, record)
  }
}

function send(
  shared: Shared,
  settings: Settings,
  answer: Answer,
  response: ServerResponse,
  record: MockRecord,
): void {
  if (settings.hang) return
  if (settings.die === 'before') {
    breakOff(response, record)
    return
  }
  if (answer.kind === 'stream') sendStream(response, answer, settings, record, shared.clock)
  else sendBody(response, answer, settings, record, shared.clock)
}

function serverName(dialect: Dialect): string {
  return dialect.startsWith('llamacpp') ? 'llama.cpp' : 'uvicorn'
}

function plainText(message: string): BodyAnswer {
  const headers = { 'content-type': 'text/plain; charset=utf-8' }
  return { kind: 'body', status: 400, headers, body: `${message}\n`, tokens: 0 }
}
