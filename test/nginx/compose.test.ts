import { chmod, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../waiting.ts'
import { CHAT, chatOf, tokensOf } from './clients.ts'
import { makeProject, type Project, up } from './compose.ts'
import type { Line } from './harness.ts'

/*
 * `docker compose up`, as the head of docker-compose.yml describes it. The tests build upon each other, as
 * the days of an operator do. The images are made of Debian's packages where the official ones cannot be
 * pulled; Grafana, which Debian does not have, is left out.
 */

const found = await makeProject()
const project = found as Project

/** Containers start one after the other, on two cores. */
const START_S = 60
const LONG_MS = 180_000
/** A stream of the mock takes half a second. */
const STUCK_S = 15
/** Prometheus scrapes every 15 s. */
const SCRAPE_S = 60

/** What the services print: a key, a token of the console. */
const KEY = /tg_\w+/g
const TOKEN = /tga_\w+/g

let demoKey: string
let adminToken: string

function chat(key: string, mock = 'tokens:7', seconds = LONG_MS / 1000): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const body = JSON.stringify(chatOf(mock, { stream: true }))
  const signal = AbortSignal.timeout(seconds * 1000)
  return fetch(`${project.gateUrl}${CHAT}`, { method: 'POST', headers, body, signal })
}

function admin(path: string, init: { method?: string; body?: object } = {}): Promise<Response> {
  const headers = {
    authorization: `Bearer ${adminToken}`,
    'content-type': 'application/json',
    ...(init.method === 'PUT' ? { 'if-none-match': '*' } : {}),
  }
  const body = init.body === undefined ? null : JSON.stringify(init.body)
  return fetch(`${project.adminUrl}${path}`, { method: init.method ?? 'GET', headers, body })
}

/**
 * Asks again while the port is closed, the mock is not there, or the gate has not loaded the key. A connection that
 * gets stuck while all of it starts is given up, and what stood where is told.
 */
async function untilServed(key: string): Promise<void> {
  await until(
    'an answer of the mock',
    async () => {
      try {
        const response = await chat(key, 'tokens:7', STUCK_S)
        await response.text()
        return response.status === 200
      } catch (error) {
        if ((error as Error).name === 'TimeoutError') await tellStuck()
        return false
      }
    },
    START_S,
    200,
  )
}

/** Which connections there are in the gate and in the mock, and what the mock was asked. */
async function tellStuck(): Promise<void> {
  const log =
    "fetch('http://127.0.0.1:8000/__mock/log').then((said) => said.text()).then(console.log)"
  const questions = [
    ['logs', '--tail', '50'],
    ['exec', '-T', 'gate', 'cat', '/proc/net/tcp', '/proc/net/tcp6'],
    ['exec', '-T', 'mock', 'cat', '/proc/net/tcp', '/proc/net/tcp6'],
    ['exec', '-T', 'mock', 'node', '-e', log],
  ]
  console.error(`A request got no answer in ${STUCK_S} s`)
  for (const words of questions) {
    const said = await project.compose(...words).catch((error: Error) => error.message)
    console.error(`${words.join(' ')}\n${said}`)
  }
}

async function ask<T>(path: string): Promise<T> {
  const response = await fetch(`${project.prometheusUrl}/api/v1/${path}`)
  return ((await response.json()) as { data: T }).data
}

async function readKeys(): Promise<string[]> {
  return (await project.compose('logs', '--no-log-prefix', 'key')).match(KEY) ?? []
}

const isStream = (tokens: number) => (line: Line) =>
  line['outcome'] === 'ok' && line['completionTokens'] === tokens

describe.skipIf(found === null)('docker-compose.yml', () => {
  beforeAll(() => up(project), LONG_MS)

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.error(await project.compose('logs', '--tail', '50'))
  })

  // What failed has still to be removed.
  afterAll(() => project.remove(), LONG_MS)

  test(
    'the log of the service key has a key, and with it a stream comes from the mock',
    async () => {
      const keys = await readKeys()
      expect(keys).toHaveLength(1)
      demoKey = keys[0] ?? ''
      await untilServed(demoKey)
      const response = await chat(demoKey)
      expect(response.headers.get('content-type')).toContain('text/event-stream')
      const text = await response.text()
      expect(text.trim().endsWith('data: [DONE]')).toBe(true)
      expect(text.match(/"content":/g)?.length).toBeGreaterThanOrEqual(7)
    },
    LONG_MS,
  )

  test('an unknown key is refused, and none at all', async () => {
    const unknown = await chat(`${demoKey.slice(0, -4)}0000`)
    expect(unknown.status).toBe(401)
    expect(await unknown.json()).toMatchObject({ error: { code: 'invalid_api_key' } })
    expect((await fetch(`${project.gateUrl}/v1/models`)).status).toBe(401)
  })

  test(
    'a key that the command makes works without a restart',
    async () => {
      const { key } = JSON.parse(await project.tollgate('key', 'create', 'app', '--json'))
      await untilServed(key)
      const list = JSON.parse(await project.tollgate('key', 'list', '--json'))
      const clients = list.keys.map(({ client }: { client: string }) => client)
      expect(clients.sort()).toEqual(['app', 'demo'])
    },
    LONG_MS,
  )

  test(
    'a token opens the console, which can change the configuration',
    async () => {
      const said = await project.tollgate('admin', 'token', 'create', 'me', '--role', 'write')
      adminToken = said.match(TOKEN)?.[0] ?? ''
      await until('the token', async () => (await admin('/status')).status === 200, START_S, 200)
      expect(await (await admin('/status')).json()).toMatchObject({ isWritable: true, alerts: [] })
      const page = await (await fetch(`${project.adminUrl}/`)).text()
      const files = [...page.matchAll(/(?:src|href)="(\/?console\/[^"]+)"/g)].map(
        ([, path]) => path,
      )
      expect(files.length).toBeGreaterThan(1)
      for (const path of files) {
        expect((await fetch(new URL(path ?? '', project.adminUrl))).status, path).toBe(200)
      }
      const made = await admin('/clients/team', { method: 'PUT', body: { note: 'by the console' } })
      expect(made.status, await made.text()).toBe(201)
      const shown = JSON.parse(await project.tollgate('client', 'show', 'team', '--json'))
      expect(shown).toMatchObject({ note: 'by the console' })
    },
    LONG_MS,
  )

  test(
    'the requests are in the ledger, and the command adds them up',
    async () => {
      const lines = await project.ledger()
      const line = lines.find((one) => one['client'] === 'demo' && isStream(7)(one))
      expect(tokensOf(line ?? {})).toBe(10)
      expect(lines.map(({ outcome }) => outcome)).toContain('invalid_key')
      await project.tollgate('ledger', 'verify')
      expect(await project.tollgate('usage', '--by', 'client')).toContain('demo')
    },
    LONG_MS,
  )

  test(
    'Prometheus scrapes the gate with the token of its own, and judges the rules',
    async () => {
      const query = encodeURIComponent('tollgate_requests_total{client="demo",outcome="ok"}')
      type Vector = { result: { value: [number, string] }[] }
      await until(
        'the requests in Prometheus',
        async () => {
          const answer = await ask<Vector>(`query?query=${query}`).catch(() => null)
          return Number(answer?.result[0]?.value[1]) >= 2
        },
        SCRAPE_S,
        500,
      )
      const { activeTargets } = await ask<{ activeTargets: object[] }>('targets')
      expect(activeTargets).toMatchObject([{ health: 'up', labels: { job: 'tollgate' } }])
      const { groups } = await ask<{ groups: { rules: { health: string }[] }[] }>('rules')
      const rules = groups.flatMap((group) => group.rules)
      expect(rules.length).toBeGreaterThan(10)
      expect(rules.filter(({ health }) => health === 'err')).toEqual([])
    },
    LONG_MS,
  )

  test(
    'a stream that runs when the gate is stopped comes to its end, and into the ledger',
    async () => {
      const response = await chat(demoKey, 'tokens:31,itl:150')
      expect(response.status).toBe(200)
      const [text] = await Promise.all([response.text(), project.compose('stop', 'gate')])
      expect(text.trim().endsWith('data: [DONE]')).toBe(true)
      const [gate] = (await project.compose('ps', '--all', '--format', 'json', 'gate')).split('\n')
      expect(JSON.parse(gate ?? '')).toMatchObject({ State: 'exited', ExitCode: 0 })
      expect((await project.ledger()).filter(isStream(31))).toHaveLength(1)
    },
    LONG_MS,
  )

  test(
    'the next start keeps what there is, also after docker compose down',
    async () => {
      await up(project)
      await untilServed(demoKey)
      expect(await readKeys()).toEqual([demoKey])
      await project.compose('down')
      await up(project)
      await untilServed(demoKey)
      expect(await readKeys()).toEqual([])
      expect(await project.compose('logs', 'key')).toContain('tollgate key create demo')
      expect((await admin('/status')).status).toBe(200)
      expect((await project.ledger()).filter(isStream(31))).toHaveLength(1)
    },
    LONG_MS,
  )

  test(
    'files that are missing, or that the containers cannot read, are told',
    async () => {
      const [dist, away] = [join(project.folder, 'dist'), join(project.folder, 'away')]
      await chmod(dist, 0o700)
      await expect(project.compose('run', '--rm', '-T', 'key')).rejects.toThrow(
        'chmod -R go+rX dist',
      )
      await rename(dist, away)
      await expect(project.compose('run', '--rm', '-T', 'key')).rejects.toThrow('not exist')
      await rename(away, dist)
    },
    LONG_MS,
  )
})
