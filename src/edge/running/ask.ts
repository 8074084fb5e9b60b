import fs from 'fs'
import { takenOf } from '../../core/limits/taken.ts'
import type { Zones } from '../../core/limits/types.ts'
import {
  QUESTION_FILE,
  QUESTION_MS,
  type Question,
  REPLY_FILE,
  type RunningReply,
} from '../../core/running.ts'
import { replaceFile } from '../config/files.ts'
import { idOf } from '../config/subject.ts'
import { countRunning, listRunning } from './requests.ts'

/** A question names a client, its keys and its group. */
const QUESTION_BYTES_MAX = 1048576

/** What dead workers left on the list goes so often, should nobody ask. */
const TIDY_MS = 60000
const TURN_MS = 500

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
  const reply: RunningReply = {
    id: question.id,
    time: new Date(nowMs).toISOString(),
    total: 0,
    requests: listRunning(nowMs),
    subjects: {},
  }
  reply.total = countRunning(reply.requests.length)
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
