import type { Gate, Line, makeKey } from '../nginx/harness.ts'
import { sleep } from '../waiting.ts'
import { type Ask, type Seen, send, sendAll } from './caller.ts'
import type { Counters, Server } from './engine.ts'
import { CUT_CLIENTS, type Group } from './groups.ts'

/** What came of a group: counters of the engine, lines of the gate, and what callers have seen. */
export type Outcome = {
  group: Group
  seen: Seen[]
  lines: Line[]
  engine: Pick<Counters, 'prompt' | 'completion'>
  /** The engine died, and its counters with it: they are those of a moment before. */
  isLost: boolean
  /** From the last byte of the last caller until the engine had nothing to do. */
  idleAfterMs: number | null
}

/** The keys of all clients by their names. */
export type Keys = Record<string, ReturnType<typeof makeKey>>

/** A gate with a server behind it, and the keys of its clients. */
export type Pair = { gate: Gate; server: Server; keys: Keys }

const AT_ONCE = 6
const LINES_SECONDS = 20
/** Counters are written a moment after the last byte. */
const SETTLED_MS = 400
const IDLE_SECONDS = 120
/** For the event of a group: by then all of its streams run. */
const EVENT_AFTER_MS = 1_500
const STALL_AFTER_MS = 400
const WATCH_MS = 100
/** At first exact; then rarer than llama.cpp looks for callers who have left, which questions keep it from. */
const IDLE_POLLS = { fineMs: 5, fineForMs: 700, coarseMs: 1_500 }

/** Sends a group, and waits until engine and ledger have nothing more to say of it. */
export async function compare(pair: Pair, group: Group): Promise<Outcome> {
  const { gate, server, keys } = pair
  const before = await server.counters()
  const linesBefore = (await gate.ledger()).length
  const isLost = group.event === 'crash'
  const watch = isLost ? watchCounters(server, before) : null
  const happening = happen(pair, group)
  const key = (ask: Ask) => keys[ask.client ?? 'app']?.secret ?? null
  const atOnce = group.atOnce ?? AT_ONCE
  const seen = await sendAll(group.asks, atOnce, (ask) => send(gate.port, key(ask), ask))
  const endMs = Math.max(...seen.map((one) => one.endMs))
  const idleMs = isLost ? null : await waitForIdle(server)
  await happening
  const after = watch === null ? await settledCounters(server) : await watch()
  return {
    group,
    seen,
    lines: await linesOf(gate, linesBefore, group.asks.length),
    engine: {
      prompt: after.prompt - before.prompt,
      completion: after.completion - before.completion,
    },
    isLost,
    idleAfterMs: idleMs === null ? null : Math.max(0, idleMs - endMs),
  }
}

async function settledCounters(server: Server): Promise<Counters> {
  await sleep(SETTLED_MS)
  return server.counters()
}

/** Asks again and again, and tells at the end what the engine has said last: it may die meanwhile. */
function watchCounters(server: Server, before: Counters): () => Promise<Counters> {
  let last = before
  let isOver = false
  const watch = async () => {
    while (!isOver) {
      last = await server.counters().catch(() => last)
      await sleep(WATCH_MS)
    }
    return last
  }
  const watching = watch()
  return () => {
    isOver = true
    return watching
  }
}

/** Those that were written since; where one is missing the sums tell, so this never fails. */
async function linesOf(gate: Gate, before: number, count: number): Promise<Line[]> {
  const endMs = performance.now() + LINES_SECONDS * 1000
  let lines = await gate.ledger()
  while (lines.length < before + count && performance.now() < endMs) lines = await gate.ledger()
  return lines.slice(before)
}

async function waitForIdle(server: Server): Promise<number> {
  const beganMs = performance.now()
  const passedMs = () => performance.now() - beganMs
  while ((await server.counters()).busy > 0 && passedMs() < IDLE_SECONDS * 1000) {
    const { fineMs, fineForMs, coarseMs } = IDLE_POLLS
    await sleep(passedMs() < fineForMs ? fineMs : coarseMs)
  }
  return performance.now()
}

async function happen({ gate, server, keys }: Pair, { event }: Group): Promise<void> {
  if (event === undefined) return
  await sleep(event === 'stall' ? STALL_AFTER_MS : EVENT_AFTER_MS)
  if (event === 'crash') server.crash()
  else if (event === 'stall') await server.stall?.()
  else await gate.setClients(clientsOf(keys, 'revoked'))
}

/** The clients of a gate: `app`, and those that a group of their own brings to an end. */
export function clientsOf(keys: Keys, without?: string) {
  const clients: Parameters<Gate['setClients']>[0]['clients'] = {}
  for (const [name, { record }] of Object.entries(keys)) {
    const tokensPerDay = CUT_CLIENTS[name] ?? null
    const revoked = name === without ? { revoked: new Date().toISOString() } : {}
    clients[name] = {
      keys: [{ ...record, ...revoked }],
      ...(tokensPerDay === null ? {} : { budgets: { tokensPerDay, hard: true } }),
    }
  }
  return { version: 1 as const, clients }
}
