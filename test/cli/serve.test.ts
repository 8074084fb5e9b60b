import { existsSync, readFileSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { parseListen, parseUpstream, pickPort } from '../../src/cli/serve/listen.ts'
import { startMock } from '../../src/mock/server.ts'
import { until } from '../nginx/harness.ts'
import { endAll, type Running, start, tollgate } from './command.ts'

const TIMEOUT_MS = 300_000

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate serve-'))
})
afterEach(endAll)
afterAll(() => rm(folder, { recursive: true, force: true }))

type Ready = {
  gate: string
  upstream: string
  dir: string
  admin: string
  adminToken: string
  key: string | null
  world: string
  pid: number
}

async function serve(args: string[], env = {}): Promise<{ running: Running; ready: Ready }> {
  const running = start(['serve', '--json', '--listen', '0', ...args], env)
  let isOver = false
  void running.ended.then(() => {
    isOver = true
  })
  await until('serve', () => isOver || running.output.stdout.includes('\n'), 120)
  if (isOver) throw new Error(`serve has ended: ${running.output.stderr}`)
  return { running, ready: JSON.parse(running.output.stdout) as Ready }
}

function chat(ready: Ready, key = ready.key): Promise<Response> {
  return fetch(`${ready.gate}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'Qwen/Qwen3-8B',
      stream: true,
      messages: [{ role: 'user', content: 'Hi' }],
    }),
  })
}

/** Who the admin API takes a token for; null when it does not. */
async function nameOf(ready: Ready, token: string): Promise<unknown> {
  const headers = { authorization: `Bearer ${token}` }
  const response = await fetch(`${ready.admin}/me`, { headers })
  return response.ok ? response.json() : null
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // A process that has ended and waits for its parent is over.
    return !/^State:\s+Z/m.test(readStatus(pid))
  } catch {
    return false
  }
}

function readStatus(pid: number): string {
  return existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : ''
}

describe('parseListen', () => {
  test.each([
    ['a port alone is for this machine', '8001', '127.0.0.1:8001', 'http://127.0.0.1:8001'],
    ['every address', '0.0.0.0:80', '0.0.0.0:80', 'http://127.0.0.1:80'],
    ['IPv6', '[::1]:8001', '[::1]:8001', 'http://[::1]:8001'],
    ['localhost is IPv4', 'localhost:8001', '127.0.0.1:8001', 'http://127.0.0.1:8001'],
  ])('%s', (_, text, listen, url) => {
    expect(parseListen(text)).toMatchObject({ listen, url })
  })

  test.each(['', 'x', '65536', '1.2.3.4', '1.2.3.400:80', '8001; evil', '[::g]:1'])(
    'refuses %j',
    (text) => {
      expect(() => parseListen(text)).toThrow('Cannot listen on')
    },
  )
})

describe('parseUpstream', () => {
  test.each([
    ['a port', 'http://127.0.0.1:8000', '127.0.0.1:8000', 'http', null],
    ['a slash at the end is no path', 'http://127.0.0.1:8000/', '127.0.0.1:8000', 'http', null],
    ['localhost is IPv4', 'http://localhost:8000', '127.0.0.1:8000', 'http', null],
    ['IPv6', 'http://[::1]:8000', '[::1]:8000', 'http', null],
    ['TLS has a name and a port', 'https://gpu.example', 'gpu.example:443', 'https', 'gpu.example'],
    ['TLS by address has no name', 'https://10.0.0.1:8443', '10.0.0.1:8443', 'https', null],
    ['a socket', 'unix:/run/v.sock', '"unix:/run/v.sock"', 'http', null],
  ])('%s', (_, text, server, scheme, tlsName) => {
    expect(parseUpstream(text)).toMatchObject({ server, scheme, tlsName })
  })

  test.each([
    ['a path', 'http://127.0.0.1:8000/v1', 'with the path "/v1"'],
    ['a query', 'http://127.0.0.1:8000?a', 'with the path'],
    ['a password', 'http://u:secret@127.0.0.1:8000', 'TOLLGATE_UPSTREAM_KEY'],
    ['no scheme', '127.0.0.1:8000', 'http://127.0.0.1:8000, https://host or unix:'],
    ['a socket without a path', 'unix:', 'name the socket'],
    ['nginx syntax', 'http://a;b:1', 'name vLLM as'],
  ])('refuses %s', (_, text, message) => {
    expect(() => parseUpstream(text)).toThrow(message)
    expect(() => parseUpstream(text)).not.toThrow('secret')
  })
})

describe('pickPort', () => {
  test('gives the preferred port, and a free one where that is in use or of somebody else here', async () => {
    const blocker = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => blocker.once('listening', resolve))
    const { port } = blocker.address() as AddressInfo
    const other = await pickPort(port)
    expect(other).not.toBe(port)
    blocker.close()
    expect(await pickPort(other)).toBe(other)
    expect(await pickPort(other, [other])).not.toBe(other)
  })
})

describe.each(['newest', 'debian13'] as const)('serve with %s', (world) => {
  test(
    'streams with the key it prints, in a folder with a space, and leaves nothing behind',
    async () => {
      const dir = join(folder, world)
      const { running, ready } = await serve(['--dir', dir, '--world', world])
      expect(ready).toMatchObject({ dir, world, upstream: expect.stringMatching(/^http:/) })
      const response = await chat(ready)
      expect(response.status).toBe(200)
      const text = await response.text()
      expect(text.match(/^data: \{/gm)?.length).toBeGreaterThan(20)
      expect(text).toContain('data: [DONE]')
      expect((await stat(dir)).mode & 0o077).toBe(0)
      expect(await nameOf(ready, ready.adminToken)).toMatchObject({ name: 'serve', role: 'write' })
      const startedMs = performance.now()
      running.child.kill('SIGINT')
      const { code, stdout } = await running.ended
      expect(code).toBe(0)
      expect(stdout.trim().split('\n')).toHaveLength(1)
      expect(performance.now() - startedMs).toBeLessThan(1_000)
      expect(isAlive(ready.pid)).toBe(false)
      expect(await filesWith(dir, ready.key ?? '')).toEqual([])
      expect(await filesWith(dir, ready.adminToken)).toEqual([])
    },
    TIMEOUT_MS,
  )
})

describe('serve', () => {
  test(
    'gives client demo a fresh key at each start, and the key before works on',
    async () => {
      const args = ['--dir', join(folder, 'twice')]
      const first = await serve(args)
      first.running.child.kill('SIGTERM')
      await first.running.ended
      const second = await serve(args)
      const logs = await readFile(join(folder, 'twice', 'nginx', 'tollgate', 'logs.conf'), 'utf8')
      expect(logs.match(/access\.log"? tollgate;$/gm)).toHaveLength(1)
      expect(second.ready.key).not.toBe(first.ready.key)
      for (const key of [first.ready.key, second.ready.key]) {
        expect((await chat(second.ready, key)).status).toBe(200)
      }
      expect(second.ready.adminToken).not.toBe(first.ready.adminToken)
      for (const token of [first.ready.adminToken, second.ready.adminToken]) {
        expect(await nameOf(second.ready, token)).toMatchObject({ name: 'serve' })
      }
      second.running.child.kill('SIGTERM')
      await second.running.ended
    },
    TIMEOUT_MS,
  )

  test(
    'makes no key when the operator has removed demo, and prints how to make one',
    async () => {
      const dir = join(folder, 'removed')
      const clients = { version: 1, clients: { app: { keys: [] } } }
      await writeConfiguration(dir, JSON.stringify(clients))
      const { running, ready } = await serve(['--dir', dir])
      expect(ready.key).toBeNull()
      running.child.kill('SIGHUP')
      expect((await running.ended).code).toBe(0)
      const text = start(['serve', '--dir', dir, '--listen', '0'])
      await until('the text', () => text.output.stdout.includes('Ctrl-C'))
      expect(text.output.stdout).toContain(`key create app --dir '${dir}'`)
      text.child.kill('SIGINT')
      await text.ended
    },
    TIMEOUT_MS,
  )

  test(
    'refuses a port in use, a second one in its folder, and a broken clients.json',
    async () => {
      const blocker = createServer().listen(0, '127.0.0.1')
      await new Promise((resolve) => blocker.once('listening', resolve))
      const address = blocker.address()
      const port = address && typeof address === 'object' ? address.port : 0
      const busy = await tollgate('serve', '--listen', String(port), '--dir', join(folder, 'busy'))
      expect(busy).toMatchObject({ code: 1, stdout: '' })
      expect(busy.stderr).toContain(`Port ${port} is in use: choose another with --listen`)
      expect(existsSync(join(folder, 'busy'))).toBe(false)
      blocker.close()

      const dir = join(folder, 'shared')
      const { running } = await serve(['--dir', dir])
      const other = await tollgate('serve', '--listen', '0', '--dir', dir)
      expect(other.code).toBe(1)
      expect(other.stderr).toContain(`Another tollgate serve runs in ${dir}`)
      running.child.kill('SIGINT')
      await running.ended

      const broken = join(folder, 'broken')
      await writeConfiguration(broken, '{"version":1,"clients":{"a b":{"keys":[]}}}')
      const ending = await tollgate('serve', '--listen', '0', '--dir', broken)
      expect(ending.code).toBe(1)
      expect(ending.stderr).toContain('clients.json')
    },
    TIMEOUT_MS,
  )

  test(
    'passes to a socket with the key of vLLM, which stands in one file for root alone',
    async () => {
      const socket = join(folder, 'vllm.sock')
      const mock = await startMock({ socket, apiKey: 'sk-upstream-7' })
      const dir = join(folder, 'socket')
      const args = ['--dir', dir, '--upstream', `unix:${socket}`]
      const { running, ready } = await serve(args, { TOLLGATE_UPSTREAM_KEY: 'sk-upstream-7' })
      expect(ready.upstream).toBe(`unix:${socket}`)
      expect((await chat(ready)).status).toBe(200)
      running.child.kill('SIGINT')
      const { stdout, stderr } = await running.ended
      expect(stdout + stderr).not.toContain('sk-upstream-7')
      const file = join(dir, 'nginx', 'tollgate', 'upstream-key.conf')
      expect(await filesWith(dir, 'sk-upstream-7')).toEqual([file])
      expect((await stat(file)).mode & 0o777).toBe(0o600)

      const later = await serve(args)
      expect((await chat(later.ready)).status).toBe(401)
      later.running.child.kill('SIGINT')
      await later.running.ended
      expect(await filesWith(dir, 'sk-upstream-7')).toEqual([])
      await mock.close()
    },
    TIMEOUT_MS,
  )

  test(
    'ends when nginx is told to, and reports when nginx is killed or it is killed itself',
    async () => {
      const args = ['--dir', join(folder, 'ends')]
      const told = await serve(args)
      process.kill(told.ready.pid, 'SIGTERM')
      expect((await told.running.ended).code).toBe(0)
      const killed = await serve(args)
      process.kill(killed.ready.pid, 'SIGKILL')
      const ending = await killed.running.ended
      expect(ending.code).toBe(1)
      expect(ending.stderr).toContain('nginx ended by itself (SIGKILL)')
      const orphan = await serve(args)
      orphan.running.child.kill('SIGKILL')
      await until('nginx to end', () => !isAlive(orphan.ready.pid))
    },
    TIMEOUT_MS,
  )
})

async function writeConfiguration(dir: string, clients: string): Promise<void> {
  await mkdir(dir)
  await writeFile(join(dir, 'clients.json'), clients)
  await chmod(join(dir, 'clients.json'), 0o600)
}

/** The files below a folder that hold a text. */
async function filesWith(dir: string, text: string): Promise<string[]> {
  const names = await readdir(dir, { recursive: true, withFileTypes: true })
  const files = names.filter((entry) => entry.isFile()).map((e) => join(e.parentPath, e.name))
  const found: string[] = []
  for (const file of files) if ((await readFile(file, 'utf8')).includes(text)) found.push(file)
  return found
}
