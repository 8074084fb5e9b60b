import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, expect } from 'vitest'
import type { Gate } from './harness.ts'

/**
 * A turn of the housekeeping that takes longer than its half second is ended by njs, and the next goes on
 * where it was. On a busy machine that happens, and no test is to fail by how busy it is. What waited in
 * it is told behind that line, without a request; anywhere else that is an error.
 */
const LATE_TURN = /housekeep" is already running/
const LATE_EVENTS = /#\d+: pending events$/

const running = new Set<Gate>()
const unexpected: string[] = []

/**
 * Call it once at the head of a file: a test that fails shows the logs of the gates that run, and
 * when all have stopped, none may have logged an error that no test expected.
 */
export function watchLogs(): void {
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return
    for (const gate of running) console.error(await describeLogs(gate))
  })
  afterAll(() => {
    expect(unexpected, 'lines in the error logs').toEqual([])
  })
}

/** Remembers a gate that runs. */
export function noteGate(gate: Gate): void {
  running.add(gate)
}

/** Keeps what is wrong in the error log of a gate that has stopped, before its folder goes. */
export async function keepLogs(gate: Gate, expected: readonly RegExp[]): Promise<void> {
  running.delete(gate)
  const lines = (await gate.errorLog()).split('\n')
  const severe = lines.filter((line) => /\[(error|crit|alert|emerg)\]/.test(line))
  const patterns = [LATE_TURN, ...expected]
  const isExpected = (line: string, i: number) =>
    patterns.some((pattern) => pattern.test(line)) ||
    (LATE_EVENTS.test(line) && LATE_TURN.test(severe[i - 1] ?? ''))
  unexpected.push(...severe.filter((line, i) => !isExpected(line, i)))
}

async function describeLogs(gate: Gate): Promise<string> {
  // As it stands there: a full disk leaves lines that are none.
  const text = await readFile(join(gate.stateDir, 'ledger.jsonl'), 'utf8').catch(() => '')
  const ledger = text.split('\n').slice(-20)
  const errors = (await gate.errorLog()).split('\n').slice(-40)
  return ['--- error.log', ...errors, '--- ledger.jsonl', ...ledger].join('\n')
}
