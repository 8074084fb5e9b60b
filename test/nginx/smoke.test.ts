import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Gate, startGate } from './harness.ts'
import { findSetups } from './setups.ts'

describe.each(await findSetups())('$name', (setup) => {
  let gate: Gate
  beforeAll(async () => {
    gate = await startGate(setup)
  })
  afterAll(() => gate.stop())

  test('a key opens the models', async () => {
    const response = await gate.call('/v1/models')
    expect(response.status).toBe(200)
    expect(await gate.ledger(1)).toMatchObject([{ client: 'app', outcome: 'ok', status: 200 }])
  })
})
