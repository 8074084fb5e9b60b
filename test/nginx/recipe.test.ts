import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { edit } from './edit.ts'
import { type Gate, sleep, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { workersOf } from './processes.ts'
import { findEngines } from './setups.ts'

watchLogs()

/** A gate that throws where it should decide. */
const BROKEN =
  'export default {verdict(){throw new Error("broken on purpose")},' +
  'client(){throw new Error("broken on purpose")},key(){},route(){},refusal(){},refuse(){},' +
  'outcome(){return "x"},ledger(){return "{}"}}\n'

/** Reloads nginx, and waits until none of the workers with the old configuration takes requests. */
async function reload(gate: Gate): Promise<void> {
  const before = workersOf(gate)
  gate.signal('SIGHUP')
  await until('the new workers', () => {
    const workers = workersOf(gate)
    return workers.length > 0 && workers.every((pid) => !before.includes(pid))
  })
  // The old ones close kept connections, which the client has to see before it calls again.
  await sleep(100)
}

describe.each(await findEngines())('$name: the smallest step from the map', (setup) => {
  let gate: Gate
  beforeAll(async () => {
    gate = await startGate(setup, { example: 'recipe' })
  })
  afterAll(() => gate.stop())

  test('a key passes under its name, with what the recipe sets', async () => {
    gate.mock.reset()
    const response = await gate.call('/v1/models')
    expect(response.status).toBe(200)
    const [record] = gate.mock.log()
    expect(record?.headers).toMatchObject({ 'x-api-client': 'app' })
    expect(record?.headers).not.toHaveProperty('authorization')
  })

  test.each([
    ['no key', '/v1/models', null],
    ['a wrong key', '/v1/models', 'wrong'],
    ['a route that is closed', '/metrics', undefined],
  ])('%s is refused and does not reach the server', async (_, path, key) => {
    gate.mock.reset()
    const response = await gate.call(path, key === undefined ? {} : { key })
    expect(response.status).toBe(401)
    expect(gate.mock.log()).toEqual([])
  })

  test('the text log of the recipe has the name and the outcome', async () => {
    await gate.call('/v1/models')
    const log = join(gate.runDir, 'vllm.log')
    await until('a line', async () => (await readFile(log, 'utf8')).includes('outcome='))
    const lines = (await readFile(log, 'utf8')).trim().split('\n')
    expect(lines.at(-1)).toMatch(/client=app key=\w{8} .* status=200 .* outcome=ok/)
  })

  test('the test of the name that the map had works as well', async () => {
    const conf = join(dirname(gate.configDir), 'nginx.conf')
    const [verdict, client] = ['if ($tollgate_verdict != "ok")', 'if ($tollgate_client = "")']
    await edit(conf, verdict, client)
    await reload(gate)
    expect((await gate.call('/v1/models')).status).toBe(200)
    expect((await gate.call('/v1/models', { key: 'wrong' })).status).toBe(401)
    expect((await gate.call('/v1/models', { key: null })).status).toBe(401)
    await edit(conf, client, verdict)
    await reload(gate)
  })

  test('a gate that breaks refuses', async () => {
    gate.expectErrors(/broken on purpose/)
    const path = join(dirname(gate.configDir), 'tollgate/tollgate.js')
    const script = await readFile(path, 'utf8')
    await writeFile(path, BROKEN)
    await reload(gate)
    gate.mock.reset()
    for (let i = 0; i < 5; i++) expect((await gate.call('/v1/models')).status).toBe(401)
    expect(gate.mock.log()).toEqual([])
    await writeFile(path, script)
    await reload(gate)
    expect((await gate.call('/v1/models')).status).toBe(200)
  })
})
