import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Gate, makeKey, startGate } from './harness.ts'
import { watchLogs } from './logs.ts'
import { workersOf } from './processes.ts'
import { ask } from './raw.ts'
import { findSetups } from './setups.ts'

watchLogs()

async function readAll(folder: string): Promise<Map<string, string>> {
  const texts = new Map<string, string>()
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile()) texts.set(path, await readFile(path, 'latin1'))
  }
  return texts
}

describe.each(await findSetups())('$name: secrets', (setup) => {
  let gate: Gate
  const expired = makeKey()
  const revoked = makeKey()
  const unknown = makeKey()
  const imported = makeKey('sk-imported-0123456789abcdefghij')
  beforeAll(async () => {
    const keys = [
      { ...expired.record, expires: '2026-01-02T00:00:00Z' },
      { ...revoked.record, revoked: '2026-01-02T00:00:00Z' },
      imported.record,
    ]
    const policy = { version: 1 as const, lockout: { badKeysPerMinute: 3, seconds: 1 } }
    gate = await startGate(setup, { policy, clients: { version: 1, clients: { old: { keys } } } })
  })
  afterAll(() => gate.stop())

  test('stand in no answer, no log, no state and no process', async () => {
    const secrets = [gate.key, expired.secret, revoked.secret, unknown.secret, imported.secret]
    const texts = new Map<string, string>()
    for (const [i, secret] of secrets.entries()) {
      const bearer = `Authorization: Bearer ${secret}`
      const answers = [
        await ask(gate, 'GET', '/v1/models', [bearer]),
        await ask(
          gate,
          'POST',
          '/v1/messages',
          [`x-api-key: ${secret}`, 'Content-Length: 2'],
          '{}',
        ),
        await ask(gate, 'GET', `/v1/models?api_key=${secret}`),
        await ask(gate, 'GET', `/${secret}`),
        await ask(gate, 'GET', '/v1/models', [bearer, `x-api-key: other-${secret}`]),
        await ask(gate, 'POST', '/v1/models', [bearer, `Cookie: key=${secret}`]),
      ]
      texts.set(`answers ${i}`, JSON.stringify(answers))
    }
    await gate.ledger(secrets.length * 6)
    for (const folder of [gate.configDir, gate.stateDir, gate.runDir]) {
      for (const [path, text] of await readAll(folder)) texts.set(path, text)
    }
    for (const pid of [gate.pid, ...workersOf(gate)]) {
      texts.set(`cmdline ${pid}`, await readFile(`/proc/${pid}/cmdline`, 'latin1'))
      texts.set(`environ ${pid}`, await readFile(`/proc/${pid}/environ`, 'latin1'))
    }
    expect([...texts.keys()].join()).toContain('ledger.jsonl')
    for (const secret of secrets) {
      const part = secret.slice(12)
      const found = [...texts].filter(([, text]) => text.includes(part)).map(([place]) => place)
      expect(found).toEqual([])
    }
  })
})
