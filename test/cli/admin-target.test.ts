import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { call } from '../../src/cli/remote/http.ts'
import { parseAdminUrl } from '../../src/cli/remote/target.ts'
import { endAll, start } from './command.ts'

const TOKEN = 'tga_notsecret'

let folder = ''
const servers: Server[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-target-'))
})
afterEach(endAll)
afterAll(async () => {
  for (const server of servers) server.close()
  await rm(folder, { recursive: true, force: true })
})

/** A server that is no admin API. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function list(url: string, env: NodeJS.ProcessEnv = {}, ...args: string[]) {
  const all = { TOLLGATE_ADMIN_TOKEN: TOKEN, TOLLGATE_ADMIN: '', TOLLGATE_DIR: '', ...env }
  return start(['client', 'list', '--admin', url, ...args], all).ended
}

describe('parseAdminUrl', () => {
  const place = (host: string, port: number) => ({ host, port, socketPath: null, base: '' })

  test.each([
    ['this machine', 'http://127.0.0.1:9180', place('127.0.0.1', 9180)],
    ['this machine by name', 'http://localhost:9180/', place('127.0.0.1', 9180)],
    ['this machine over IPv6', 'http://[::1]:9180', place('::1', 9180)],
    ['another address of this machine', 'http://127.8.9.1', place('127.8.9.1', 80)],
    ['another machine with TLS', 'https://gate.example', place('gate.example', 443)],
    [
      'below a path of a proxy',
      'https://g.example/tg/',
      { ...place('g.example', 443), base: '/tg' },
    ],
    ['a socket', 'unix:/run/t.sock', { ...place('localhost', 0), socketPath: '/run/t.sock' }],
  ])('takes %s', (_, text, wanted) => {
    expect(parseAdminUrl(text)).toMatchObject(wanted)
  })

  test.each([
    ['another machine without TLS', 'http://gate.example:9180', 'ssh -L'],
    ['a name that begins like an address', 'http://127.0.0.1.example.com', 'without TLS'],
    ['an address of a network', 'http://10.0.0.1:9180', 'without TLS'],
    ['no scheme', '127.0.0.1:9180', 'write http://127.0.0.1:9180, https://host or unix:'],
    ['another scheme', 'ftp://127.0.0.1', 'write http://'],
    ['a token in it', 'https://tga_secret@gate.example', 'never stands in an address'],
    ['a query', 'https://gate.example?token=tga_secret', 'never stands in an address'],
    ['a socket without a path', 'unix:', 'write http://'],
  ])('refuses %s', (_, text, reason) => {
    expect(() => parseAdminUrl(text)).toThrow(reason)
    expect(() => parseAdminUrl(text)).not.toThrow('secret')
  })
})

describe('--admin', () => {
  test('says when nothing listens there', async () => {
    const url = await serve(() => {})
    servers.at(-1)?.close()
    const { code, stderr } = await list(url)
    expect(code).toBe(1)
    expect(stderr).toContain(`Cannot reach the admin API at ${url}: connection refused`)
    const socket = await list(`unix:${folder}/none.sock`)
    expect(socket.stderr).toContain('no such socket')
  })

  test.each<[string, RequestListener]>([
    [
      'a page',
      (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
    ],
    ['an error page', (_, response) => response.writeHead(404).end('Not found')],
    ['an empty answer', (_, response) => response.writeHead(200).end()],
    ['a redirect', (_, response) => response.writeHead(302, { location: 'http://1.2.3.4' }).end()],
    [
      'broken JSON',
      (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{'),
    ],
  ])('says that a server is no admin API: %s', async (_, listener) => {
    const { code, stderr } = await list(await serve(listener))
    expect(code).toBe(1)
    expect(stderr).toContain('does not answer as the admin API of Tollgate does')
  })

  test('says when no answer comes, and that a change may have been made', async () => {
    const url = await serve(() => {})
    const target = { ...parseAdminUrl(url), token: TOKEN, timeoutMs: 20 }
    const get = call(target, { method: 'GET', path: '/me' })
    await expect(get).rejects.toThrow('gave no answer within 0.02 s')
    const post = call(target, { method: 'POST', path: '/clients/app/keys', body: {} })
    await expect(post).rejects.toThrow('look first whether it was done all the same')
  })

  test('says when an answer breaks off', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 99 })
      response.write('{')
      setTimeout(() => response.destroy(), 20)
    })
    expect((await list(url)).stderr).toContain(`Cannot reach the admin API at ${url}`)
  })

  test('sends the token in a header, from the environment or a file, and shows it nowhere', async () => {
    const sent: (string | undefined)[] = []
    const url = await serve((request, response) => {
      sent.push(request.headers.authorization, request.url)
      response.writeHead(500).end()
    })
    const file = join(folder, 'token')
    await writeFile(file, `${TOKEN}2\n`)
    const runs = [await list(url), await list(url, {}, '--admin-token-file', file)]
    expect(sent.filter((text) => text?.includes('tga_'))).toEqual([
      `Bearer ${TOKEN}`,
      `Bearer ${TOKEN}2`,
    ])
    expect(JSON.stringify(runs)).not.toContain(TOKEN)
  })

  test.each([
    [
      'no token',
      { TOLLGATE_ADMIN_TOKEN: '' },
      [],
      'There is no admin token in TOLLGATE_ADMIN_TOKEN',
    ],
    ['a token of two lines', { TOLLGATE_ADMIN_TOKEN: 'tga_a\nx: y' }, [], 'is no admin token'],
    ['a file that is not there', {}, ['--admin-token-file', '/none'], '/none: ENOENT'],
    ['a folder of this machine too', {}, ['--dir', '/tmp'], 'Choose one of --admin and --dir'],
  ])('refuses %s', async (_, env, args, reason) => {
    const { code, stdout, stderr } = await list('http://127.0.0.1:1', env, ...args)
    expect(code).toBeGreaterThan(0)
    expect(stdout).toBe('')
    expect(stderr).toContain(reason)
  })

  test.each([
    ['ledger verify', ['ledger', 'verify']],
    ['admin token list', ['admin', 'token', 'list']],
    ['admin enable', ['admin', 'enable']],
    ['install', ['install']],
    ['doctor', ['doctor']],
    ['serve', ['serve']],
  ])('is refused by %s, which is about one machine', async (name, args) => {
    const { code, stderr } = await start([...args, '--admin', 'http://127.0.0.1:1']).ended
    expect(code).toBe(2)
    expect(stderr).toContain(`tollgate ${name} works on this machine alone`)
  })

  test('is refused when it is empty, instead of taking the files of this machine', async () => {
    const { code, stderr } = await list('')
    expect(code).toBe(2)
    expect(stderr).toContain('Cannot use --admin ""')
  })

  test('is meant by TOLLGATE_ADMIN as well, unless a folder is named', async () => {
    const env = { TOLLGATE_ADMIN: 'http://127.0.0.1:1', TOLLGATE_ADMIN_TOKEN: TOKEN }
    const away = await start(['client', 'list'], env).ended
    expect(away.stderr).toContain('Cannot reach the admin API at http://127.0.0.1:1')
    const here = await start(['client', 'list', '--dir', folder], env).ended
    expect(here.stdout).toContain('No clients yet')
    const local = await start(['ledger', 'verify'], env).ended
    expect(local.stderr).toContain('works on this machine alone')
  })
})
