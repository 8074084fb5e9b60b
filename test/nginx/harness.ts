import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { appendFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { layOut, WORKERS_DIR } from '../../src/cli/install/layout.ts'
import { nginxConf, type Site } from '../../src/cli/serve/site.ts'
import { keyId } from '../../src/core/config/key.ts'
import type { LoadState } from '../../src/core/config/record.ts'
import type { Admin, Clients, Policy } from '../../src/core/config/shapes.ts'
import { formatToken } from '../../src/core/config/token.ts'
import { normalise } from '../../src/core/ledger/read.ts'
import { type Mock, startMock } from '../../src/mock/server.ts'
import { freePort, sleep, until } from '../waiting.ts'
import { keepLogs, noteGate } from './logs.ts'
import { type Running, runNginx, type Setup } from './setups.ts'

export { freePort, sleep, until }

/** One request of the ledger, as any reader of the file sees it. */
export type Line = Record<string, string | number>

/** A running nginx with the gate, the mock behind it, and everything that is written by both. */
export type Gate = {
  url: string
  port: number
  mock: Mock
  /** A key of client `app`, with the default scopes. */
  key: string
  keyId: string
  /** The admin listener, and a token of it that may write. */
  adminUrl: string
  adminToken: string
  configDir: string
  stateDir: string
  runDir: string
  /** The master process of nginx. */
  pid: number
  call(path: string, init?: RequestInit & { key?: string | null }): Promise<Response>
  /** Calls the admin API; the body may be an object, which goes as JSON. */
  admin(path: string, init?: AdminInit): Promise<Response>
  /** Writes clients.json and waits until it is in force. */
  setClients(clients: Clients): Promise<void>
  setPolicy(policy: Policy): Promise<void>
  writeConfig(file: 'clients.json' | 'policy.json', text: string): Promise<void>
  state(): Promise<LoadState>
  waitForGeneration(generation: number): Promise<void>
  ledger(count?: number): Promise<Line[]>
  errorLog(): Promise<string>
  accessLog(): Promise<string>
  /** Lines of the error log that this test provokes; watchLogs() fails on all others. */
  expectErrors(...patterns: RegExp[]): void
  signal(name: NodeJS.Signals): void
  /**
   * Starts nginx again on the same folders. It is ended first, should it run. Unless `isEager`, it has read its
   * files when this comes back: until then requests are told that it is starting.
   */
  restart(isEager?: boolean): Promise<void>
  stop(): Promise<void>
}

/** `token`: null sends none. */
export type AdminInit = Omit<RequestInit, 'body' | 'headers'> & {
  body?: unknown
  headers?: Record<string, string>
  token?: string | null
}

export type GateOptions = {
  example?: Site['example']
  clients?: Clients
  policy?: Policy
  workers?: number
  mock?: Parameters<typeof startMock>[0]
  /** Where requests go instead of the mock. */
  upstreamServer?: string
  serverExtra?: string
  /** Parameters of `listen`, such as `reuseport`. */
  listenExtra?: string
  upstreamKey?: string
  /** Do not wait for the first load. */
  isEager?: boolean
  /** Changes files before nginx starts: nginx.conf and tollgate/ below `root`, and those of `config`. */
  prepare?: (root: string, configDir: string) => Promise<void>
}

/** The time that a line of the ledger may take. */
const LINE_MS = 20

let keysMade = 0

/** A key and what clients.json knows of it. Of 3,000 random ids two are alike once in 1,000 runs. */
export function makeKey(
  secret = `tg_${randomBytes(4).toString('hex')}_${randomBytes(24).toString('hex')}`,
) {
  const id = `k${(keysMade++).toString(36).padStart(7, '0')}`
  const sha256 = createHash('sha256').update(secret).digest('hex')
  return { secret, record: { id, sha256, created: '2026-01-01T00:00:00Z' } }
}

/** A token of the admin API and what policy.json knows of it. */
export function makeAdmin(fields: Partial<Admin> = {}): { token: string; record: Admin } {
  const id = keyId(randomBytes(32))
  const token = formatToken(id, randomBytes(32))
  const sha256 = createHash('sha256').update(token).digest('hex')
  const created = '2026-01-01T00:00:00Z'
  return { token, record: { id, name: 'tester', role: 'write', sha256, created, ...fields } }
}

/**
 * A list for the gates of a suite whose tests run side by side, and so have no end that `onTestFinished` of vitest knows:
 * all of them are stopped when the last one is done.
 */
export function stoppedTogether(): Gate[] {
  const started: Gate[] = []
  afterAll(() => Promise.all(started.map((gate) => gate.stop())))
  return started
}

/** Starts nginx with one of the example sites. The files are those that users install. */
export async function startGate(setup: Setup, options: GateOptions = {}): Promise<Gate> {
  const root = await mkdtemp(join(tmpdir(), 'tollgate-test-'))
  const dirs = {
    configDir: join(root, 'config'),
    stateDir: join(root, 'state'),
    runDir: join(root, 'run'),
  }
  for (const dir of Object.values(dirs)) await mkdir(dir)
  await mkdir(join(dirs.stateDir, WORKERS_DIR))
  const mock = await startMock(options.mock ?? { ttftMs: 0, itlMs: 0 })
  const { secret, record } = makeKey()
  const clients = options.clients ?? { version: 1, clients: {} }
  clients.clients['app'] ??= { keys: [record] }
  await writeFile(join(dirs.configDir, 'clients.json'), JSON.stringify(clients))
  const admin = makeAdmin()
  const policy = withAdmin(options.policy ?? { version: 1 }, admin.record)
  await writeFile(join(dirs.configDir, 'policy.json'), JSON.stringify(policy))
  const [port, adminPort, rarePort] = [await freePort(), await freePort(), await freePort()]
  const layout = {
    nginxDir: root,
    ...dirs,
    adminListen: `127.0.0.1:${adminPort}`,
    rareListen: `127.0.0.1:${rarePort}`,
    engine: setup.nginx.engine,
  }
  await layOut(layout)
  await appendFile(
    join(root, 'tollgate', 'logs.conf'),
    `access_log ${dirs.runDir}/access.log tollgate;\n`,
  )
  if (options.upstreamKey) await setUpstreamKey(root, options.upstreamKey)
  const site: Site = {
    layout,
    nginx: setup.nginx,
    example: options.example ?? 'gate',
    listen: `127.0.0.1:${port} ${options.listenExtra ?? ''}`.trim(),
    upstreamServer: options.upstreamServer ?? `127.0.0.1:${mock.port}`,
    upstreamScheme: 'http',
    workers: options.workers ?? 1,
    user: process.getuid?.() === 0 ? 'root' : null,
    runDir: dirs.runDir,
    serverExtra: options.serverExtra ?? '',
  }
  await writeFile(join(root, 'nginx.conf'), await nginxConf(site))
  await options.prepare?.(root, dirs.configDir)
  const start = () => runNginx(setup, root, dirs.runDir)
  const server = await start()
  const parts = { dirs, root, mock, port, adminPort, admin, server, start }
  const gate = makeGate({ ...parts, secret, keyId: record.id })
  noteGate(gate)
  if (!options.isEager) await gate.waitForGeneration(1)
  return gate
}

/** A policy without tokens gets the one of the tests. */
function withAdmin(policy: Policy, admin: Admin): Policy {
  return { ...policy, admins: policy.admins ?? [admin] }
}

type Parts = {
  dirs: { configDir: string; stateDir: string; runDir: string }
  root: string
  mock: Mock
  port: number
  adminPort: number
  admin: ReturnType<typeof makeAdmin>
  server: Running
  start(): Promise<Running>
  secret: string
  keyId: string
}

function makeGate({ dirs, root, mock, port, start, secret, keyId: id, ...parts }: Parts): Gate {
  const { adminPort, admin } = parts
  let server = parts.server
  const expected: RegExp[] = []
  const url = `http://127.0.0.1:${port}`
  const gate: Gate = {
    ...dirs,
    url,
    port,
    mock,
    key: secret,
    keyId: id,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    adminToken: admin.token,
    pid: server.pid,
    call(path, init = {}) {
      const headers = new Headers(init.headers)
      if (init.key !== null) headers.set('authorization', `Bearer ${init.key ?? secret}`)
      if (init.body && !headers.has('content-type')) headers.set('content-type', 'application/json')
      return fetch(url + path, { method: init.body ? 'POST' : 'GET', ...init, headers })
    },
    admin(path, { token = admin.token, body, headers: more, ...init } = {}) {
      const isText = typeof body === 'string'
      const headers = new Headers({
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...more,
      })
      return fetch(gate.adminUrl + path, {
        method: body === undefined ? 'GET' : 'POST',
        ...init,
        headers,
        ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
      })
    },
    async writeConfig(file, text) {
      await writeFile(join(dirs.configDir, `${file}.new`), text)
      await rename(join(dirs.configDir, `${file}.new`), join(dirs.configDir, file))
    },
    async setClients(document) {
      const { generation } = await gate.state()
      await gate.writeConfig('clients.json', JSON.stringify(document))
      await gate.waitForGeneration(generation + 1)
    },
    async setPolicy(document) {
      const { generation } = await gate.state()
      await gate.writeConfig('policy.json', JSON.stringify(withAdmin(document, admin.record)))
      await gate.waitForGeneration(generation + 1)
    },
    async state() {
      return JSON.parse(await readFile(join(dirs.stateDir, WORKERS_DIR, 'state.json'), 'utf8'))
    },
    async waitForGeneration(generation) {
      await until(`generation ${generation}`, async () => {
        if (!existsSync(join(dirs.stateDir, WORKERS_DIR, 'state.json'))) return false
        return (await gate.state()).generation >= generation
      })
    },
    async ledger(count = 0) {
      const path = join(dirs.stateDir, 'ledger.jsonl')
      let lines: string[] = []
      let reads = 0
      // nginx writes a line after the last byte of the answer, so what still grows is waited for, a while.
      await until(`${count} lines in the ledger`, async () => {
        const before = lines.length
        await sleep(LINE_MS)
        lines = (await read(path)).split('\n').filter(Boolean)
        const isStill = lines.length === before || ++reads > 10
        return lines.length >= count && (count > 0 || isStill)
      })
      return lines.map(parseLine)
    },
    errorLog: () => read(join(dirs.runDir, 'error.log')),
    accessLog: () => read(join(dirs.runDir, 'access.log')),
    expectErrors: (...patterns) => void expected.push(...patterns),
    signal: (name) => void process.kill(server.pid, name),
    async restart(isEager = false) {
      await server.stop()
      await rm(join(dirs.runDir, 'nginx.pid'), { force: true })
      // What the old nginx knew would be taken for the news of the new one.
      if (!isEager) await rm(join(dirs.stateDir, WORKERS_DIR, 'state.json'), { force: true })
      server = await start()
      gate.pid = server.pid
      if (!isEager) await gate.waitForGeneration(1)
    },
    async stop() {
      await server.stop()
      await keepLogs(gate, expected)
      await mock.close()
      await rm(root, { recursive: true, force: true })
    },
  }
  return gate
}

/** One line of either version, with the time in the words of the first. */
function parseLine(text: string): Line {
  const line = JSON.parse(text)
  return line.at === undefined ? line : normalise(line, Math.round(line.at * 1000))
}

async function setUpstreamKey(root: string, upstreamKey: string): Promise<void> {
  const path = join(root, 'tollgate', 'upstream-key.conf')
  const text = await readFile(path, 'utf8')
  await writeFile(path, text.replace('default ""', `default "Bearer ${upstreamKey}"`))
}

async function read(path: string): Promise<string> {
  return existsSync(path) ? readFile(path, 'utf8') : ''
}
