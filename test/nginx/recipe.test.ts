import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Gate, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findSetups } from './setups.ts'

watchLogs()

/** Sends the configuration through an edit, reloads nginx, and waits until the new workers answer. */
async function edit(gate: Gate, file: string, from: string, to: string): Promise<void> {
  const path = join(dirname(gate.configDir), file)
  const text = await readFile(path, 'utf8')
  expect(text).toContain(from)
  await writeFile(path, text.replace(from, to))
  gate.signal('SIGHUP')
}

describe.each(await findSetups())('$name: the smallest step from the map', (setup) => {
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
    const verdict = 'if ($tollgate_verdict != "ok")'
    await edit(gate, 'nginx.conf', verdict, 'if ($tollgate_client = "")')
    await until('the reload', async () => (await gate.call('/v1/models')).status === 200)
    expect((await gate.call('/v1/models', { key: 'wrong' })).status).toBe(401)
    expect((await gate.call('/v1/models', { key: null })).status).toBe(401)
    await edit(gate, 'nginx.conf', 'if ($tollgate_client = "")', verdict)
  })

  test('a gate that breaks refuses', async () => {
    gate.expectErrors(/broken on purpose/)
    const script = await readFile(join(dirname(gate.configDir), 'tollgate/tollgate.js'), 'utf8')
    const broken =
      'export default {verdict(){throw new Error("broken on purpose")},' +
      'client(){throw new Error("broken on purpose")},key(){},route(){},refusal(){},refuse(){},' +
      'outcome(){return "x"},ledger(){return "{}"}}\n'
    await writeFile(join(dirname(gate.configDir), 'tollgate/tollgate.js'), broken)
    gate.signal('SIGHUP')
    gate.mock.reset()
    await until('the reload', async () => (await gate.call('/v1/models')).status !== 200)
    gate.mock.reset()
    for (let i = 0; i < 5; i++) expect((await gate.call('/v1/models')).status).toBe(401)
    expect(gate.mock.log()).toEqual([])
    await writeFile(join(dirname(gate.configDir), 'tollgate/tollgate.js'), script)
    gate.signal('SIGHUP')
    await until('the mended gate', async () => (await gate.call('/v1/models')).status === 200)
  })
})
