import fs from 'fs'
import { checkOf, levelOf } from '../../core/limits/check.ts'
import { type CounterKind, type HeldKind, PID_LENGTH } from '../../core/limits/counters.ts'
import type { Zones } from '../../core/limits/types.ts'
import {
  MARK_PREFIX,
  QUESTION_FILE,
  QUESTION_MS,
  type Question,
  REPLY_FILE,
  type Reply,
  readRunning,
  type Taken,
} from '../../core/running.ts'
import { replaceFile } from '../config/files.ts'
import { runningZone } from '../gate/registry.ts'
import { idOf } from '../ledger/topup.ts'
import { isWorker } from './slots.ts'

/** More are counted, and not listed. */
const LISTED_MAX = 5000

/** A question names a client, its keys and its group. */
const QUESTION_BYTES_MAX = 1048576

/** What dead workers left on the list goes so often, should nobody ask. */
const TIDY_MS = 60000
const TURN_MS = 500

/** A request that somebody wanted to end has ended by then. */
const MARK_MS = 86400000

/**
 * Answers the question beside the ledger, while it is fresh: what runs, and how much of the limits of
 * some subjects is taken. What is asked stands in a file of root's, what is answered in one of the
 * workers', so that neither the network nor a key is needed, and nobody else can ask.
 */
export function answerQuestion(
  zones: Zones,
  ledger: string,
  stateDir: string,
  nowMs: number,
): void {
  const question = readQuestion(
    `${ledger.slice(0, ledger.lastIndexOf('/'))}/${QUESTION_FILE}`,
    nowMs,
  )
  if (!question) {
    if (nowMs % TIDY_MS < TURN_MS) listRunning(nowMs)
    return
  }
  const reply: Reply = {
    id: question.id,
    time: new Date(nowMs).toISOString(),
    total: 0,
    requests: listRunning(nowMs),
    subjects: {},
  }
  reply.total = runningZone().size()
  question.subjects.forEach((name) => {
    reply.subjects[name] = takenOf(zones, idOf(name), nowMs)
  })
  try {
    replaceFile(`${stateDir}/${REPLY_FILE}`, JSON.stringify(reply))
  } catch (_) {
    // Who asked says that there is no answer; why nothing can be written is told with balance.json.
  }
}

function readQuestion(path: string, nowMs: number): Question | null {
  try {
    const found = fs.statSync(path)
    if (nowMs - found.mtimeMs > QUESTION_MS || found.size > QUESTION_BYTES_MAX) return null
    const question = JSON.parse(fs.readFileSync(path, 'utf8')) as Question
    return typeof question.id === 'string' && Array.isArray(question.subjects) ? question : null
  } catch (_) {
    // There is none, or one that is no question.
    return null
  }
}

/** The requests that run, without those of dead workers, which are taken off the list. */
export function listRunning(nowMs: number): Reply['requests'] {
  const zone = runningZone()
  const alive: { [pid: string]: boolean } = {}
  const running: Reply['requests'] = []
  zone.items(LISTED_MAX).forEach((item) => {
    const name = item[0] as string
    if (name.startsWith(MARK_PREFIX)) {
      dropOldMark(name, item[1] as string, nowMs)
      return
    }
    const pid = name.slice(0, PID_LENGTH)
    const worker = parseInt(pid, 36)
    if (alive[pid] === undefined) alive[pid] = isWorker(worker)
    if (alive[pid]) {
      const said = readRunning(item[1] as string)
      running.push(Object.assign({ id: name.slice(PID_LENGTH), worker }, said))
    } else zone.delete(name)
  })
  return running
}

function dropOldMark(name: string, since: string, nowMs: number): void {
  if (nowMs - Number(since) > MARK_MS) runningZone().delete(name)
}

/** How much of its limits a subject has taken right now, by its id in the counters. */
export function takenOf(zones: Zones, id: string, nowMs: number): Taken {
  const level = (kind: CounterKind | HeldKind) => {
    const check = checkOf(kind + id, nowMs)
    const zone = check.before ? zones.windows : zones.counters
    return levelOf(zones, check, zone.get(check.at) || 0, nowMs)
  }
  return {
    inFlight: level('f'),
    heldTokens: level('r'),
    heldCost: level('R'),
    requestsPerMinute: level('q'),
    tokensPerMinute: level('t'),
    inputTokensPerMinute: level('i'),
    outputTokensPerMinute: level('o'),
  }
}
