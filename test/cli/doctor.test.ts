import { spawn } from 'node:child_process'
import { appendFile, chmod, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { readTable } from '../../src/cli/serve/sockets.ts'
import { startMock } from '../../src/mock/server.ts'
import { freePort, sleep, until } from '../nginx/harness.ts'
import { endAll, makeInstallation, start, tollgate } from './command.ts'

const TIMEOUT_MS = 300_000

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-doctor-'))
  await chmod(folder, 0o755)
})
afterEach(endAll)
afterAll(() => rm(folder, { recursive: true, force: true }))

type Check = { name: string; level: string; message: string }

async function doctor(...args: string[]): Promise<{ code: number | null; checks: Check[] }> {
  const { code, stdout } = await tollgate('doctor', '--json', ...args)
  return { code, checks: (JSON.parse(stdout) as { checks: Check[] }).checks }
}

function found(checks: Check[], name: string): string {
  return checks
    .filter((check) => check.name === name)
    .map(({ level, message }) => `${level}: ${message}`)
    .join('\n')
}

describe('readTable', () => {
  const row = (local: string, state = '0A') => `   0: ${local} 00000000:0000 ${state} 00000000:0\n`

  test.each([
    ['loopback', row('0100007F:1F40'), ['127.0.0.1']],
    ['every address', row('00000000:1F40'), ['0.0.0.0']],
    ['another port', row('00000000:1F41'), []],
    ['a connection, not a listener', row('0100007F:1F40', '01'), []],
    ['every IPv6 address', row('00000000000000000000000000000000:1F40'), ['::']],
    ['IPv6 loopback', row('00000000000000000000000001000000:1F40'), ['::1']],
    ['IPv4 in IPv6', row('0000000000000000FFFF00000100007F:1F40'), ['::ffff:127.0.0.1']],
    ['an IPv6 address', row('B80D0120000000000000000002000000:1F40'), ['2001:db8:0:0:0:0:0:2']],
  ])('%s', (_, table, addresses) => {
    expect(readTable(`  sl  local_address\n${table}`, 8000)).toEqual(addresses)
  })
})

describe('doctor', () => {
  test(
    'has nothing to say about a running serve, but that the mock is for this machine alone',
    async () => {
      const dir = join(folder, 'served')
      const running = start(['serve', '--json', '--listen', '0', '--dir', dir])
      await until('serve', () => running.output.stdout.includes('\n'))
      const { code, checks } = await doctor('--dir', dir)
      expect(checks.filter(({ level }) => level !== 'ok')).toEqual([])
      expect(code).toBe(0)
      expect(found(checks, 'exposure')).toContain('this machine alone')
      await writeFile(join(dir, 'policy.json'), '{"version":2}')
      await sleep(1_500)
      const broken = await doctor('--dir', dir)
      expect(broken.code).toBe(1)
      expect(found(broken.checks, 'clients')).toContain('policy.json')
      expect(found(broken.checks, 'load')).toContain('still in force')
      running.child.kill('SIGINT')
      await running.ended
      const down = await doctor('--dir', dir)
      expect(found(down.checks, 'vllm')).toContain('connection refused')
    },
    TIMEOUT_MS,
  )

  test(
    'names what an installed gate lacks, each with its fix',
    async () => {
      const root = join(folder, 'installed')
      const { path, nginxDir } = await makeInstallation(root, 'newest', 'daemon')
      const stateDir = join(root, 'state')
      const args = ['--nginx', path, '--nginx-dir', nginxDir, '--state-dir', stateDir]
      const before = await doctor(...args)
      expect(before.code).toBe(1)
      expect(found(before.checks, 'files')).toContain('run tollgate install')
      expect(found(before.checks, 'http.conf')).toContain('include tollgate/http.conf;')

      await tollgate('install', ...args)
      const mock = await startMock({ host: '0.0.0.0' })
      const site = join(nginxDir, 'conf.d/site.conf')
      const listen = `listen 127.0.0.1:${await freePort()};`
      const gate = 'set $tollgate_upstream vllm; include tollgate/gate.conf;'
      await writeFile(
        site,
        `include tollgate/http.conf;
         upstream vllm { server localhost:${mock.port}; keepalive 9; }
         server { ${listen} include tollgate/server.conf;
           access_log ${root}/vllm.log tollgate;
           location / { ${gate} location /x { proxy_pass http://vllm; } } }\n`,
      )
      await appendFile(join(nginxDir, 'tollgate/upstream.conf'), '# mine\n')
      await chmod(join(nginxDir, 'tollgate/upstream-key.conf'), 0o644)
      const http = join(nginxDir, 'tollgate/http.conf')
      await writeFile(
        http,
        (await readFile(http, 'utf8')).replace(/^.*zone=tollgate_usage:.*$/m, ''),
      )
      const paid = '{"keys":[],"budgets":{"costPerDay":5}}'
      await writeFile(
        join(nginxDir, 'tollgate/clients.json'),
        `{"version":1,"clients":{"paid":${paid}}}`,
      )
      const { code, checks } = await doctor(...args)
      expect(code).toBe(1)
      expect(found(checks, 'gate')).toContain('location / goes to vllm')
      expect(found(checks, 'site')).toMatch(/site.conf:5: location \/x stands inside of /)
      expect(found(checks, 'logs')).toMatch(/site.conf:4: .* to the end of tollgate\/logs.conf/)
      expect(found(checks, 'keepalive')).toContain('add keepalive_timeout 4s;')
      expect(found(checks, 'exposure')).toContain('problem: vLLM listens on 0.0.0.0')
      expect(found(checks, 'vllm')).toContain('write 127.0.0.1')
      expect(found(checks, 'files')).toContain('upstream.conf was changed by hand')
      expect(found(checks, 'permissions')).toContain('chmod 600')
      expect(found(checks, 'zones')).toContain('problem: There is no tollgate_usage:')
      expect(found(checks, 'shutdown')).toContain('write at the top of nginx.conf worker_shutdown')
      expect(found(checks, 'load')).toContain('No gate has written')
      expect(found(checks, 'clients')).toContain('tollgate key create app')
      expect(found(checks, 'clients')).toContain('warning: clients.paid: A budget in cost holds')
      await mock.close()
    },
    TIMEOUT_MS,
  )

  test(
    'tells that files have changed since the last load when nginx is gone',
    async () => {
      const root = join(folder, 'stale')
      const { path, nginxDir, command } = await makeInstallation(root, 'newest', 'root')
      const stateDir = join(root, 'state')
      const args = ['--nginx', path, '--nginx-dir', nginxDir, '--state-dir', stateDir]
      await tollgate('install', ...args)
      await writeFile(join(nginxDir, 'conf.d/site.conf'), 'include tollgate/http.conf;\n')
      const [file = '', ...rest] = command
      const flags = ['-c', join(nginxDir, 'nginx.conf'), '-g', 'daemon off;']
      const nginx = spawn(file, [...rest, ...flags, '-e', join(root, 'run/error.log')])
      const loaded = async () => found((await doctor(...args)).checks, 'load').includes('in force')
      await until('the load', loaded)
      nginx.kill('SIGTERM')
      const clients = join(nginxDir, 'tollgate/clients.json')
      const later = new Date(Date.now() + 1_000)
      await utimes(clients, later, later)
      await sleep(6_500)
      const { checks } = await doctor(...args)
      expect(found(checks, 'load')).toContain('clients.json has changed since')
    },
    TIMEOUT_MS,
  )
})
