import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { QUESTION_FILE, type Question, REPLY_FILE, type RunningReply } from '../../core/running.ts'
import { replaceFile } from '../store/atomic.ts'
import { readTrusted } from '../store/trust.ts'
import type { Place } from './place.ts'

/** Two turns of the housekeeping, and one more for a worker that is busy. */
const WAIT_MS = 2000
const POLL_MS = 50

/** The housekeeping writes it before anything else. */
const STATE_FILE = 'state.json'
const NOBODY: Unanswered = {
  problem: 'no nginx with Tollgate answers: is it running?',
  isSilent: true,
}

/** Why there is no answer, for people; `isSilent` when nobody is there to give one. */
export type Unanswered = { problem: string; isSilent?: true }

/**
 * Asks the running nginx what runs, and how much of their limits some subjects have taken: through a
 * file beside the ledger, which the housekeeping answers in its own folder (src/edge/running/ask.ts).
 */
export async function askGate(
  place: Place,
  subjects: string[],
): Promise<RunningReply | Unanswered> {
  if (!existsSync(join(dirname(place.balance), STATE_FILE))) return NOBODY
  const path = join(dirname(place.ledger), QUESTION_FILE)
  const question: Question = { id: randomUUID(), subjects }
  try {
    await writeQuestion(path, JSON.stringify(question))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return { problem: `cannot write ${path} (${code}): run this as the owner of that folder` }
  }
  const untilMs = performance.now() + WAIT_MS
  while (performance.now() < untilMs) {
    await sleep(POLL_MS)
    const reply = await readReply(join(dirname(place.balance), REPLY_FILE))
    if (reply?.id === question.id) return reply
  }
  return NOBODY
}

/** By rename, so that it is never read by halves; readable, since the workers have to. */
function writeQuestion(path: string, text: string): Promise<void> {
  return replaceFile(path, async (handle) => {
    await handle.writeFile(text)
    await handle.chmod(0o644)
  })
}

/** Null where there is none yet. The folder belongs to the workers: what is no reply is not one. */
async function readReply(path: string): Promise<RunningReply | null> {
  try {
    const reply = JSON.parse((await readTrusted(path)) ?? 'null')
    return typeof reply?.id === 'string' && Array.isArray(reply.requests) ? reply : null
  } catch {
    return null
  }
}
