import fs from 'fs'
import { formatCursor, parseCursor } from '../../core/admin/cursor.ts'
import { problem } from '../../core/admin/problems.ts'
import { readLimit } from '../../core/admin/replies.ts'
import type { Call, Reply } from '../../core/admin/types.ts'
import type { Mark } from '../../core/ledger/balancefile.ts'
import type { LedgerLine } from '../../core/ledger/line.ts'
import { normalise, readLine } from '../../core/ledger/read.ts'
import { codeOf } from '../config/files.ts'
import { giveWay } from '../giveway.ts'
import { findLedger, headOf, type Lines, readLines } from '../ledger/file.ts'
import { MOVED_MS } from '../ledger/reading.ts'

/** Lines of the ledger that are being collected: the first so many, or of the tail the last. */
type Found = {
  client: string | undefined
  outcome: string | undefined
  limit: number
  isTail: boolean
  requests: LedgerLine[]
  /** Lines that cannot be read. */
  skipped: number
  bytes: number
  bytesMax: number
  /** The first line of what is read has lost its beginning. */
  isCut: boolean
}

const LIMIT_USUAL = 50
const LIMIT_MAX = 500

/** So much of the end of the ledger is read at first, and at most; a usual line has 700 bytes. */
const TAIL_BYTES = 65536
const BYTES_MAX = 1048576

const LINE_END = 10

/**
 * GET /requests: those that have ended, as the ledger has them, in its order. Without `after` they are the
 * last ones; `next` then leads on, also over a rotation.
 */
export async function listEnded(call: Call): Promise<Reply> {
  const limit = readLimit(call, LIMIT_USUAL, LIMIT_MAX)
  if (typeof limit !== 'number') return limit
  const after = call.query['after']
  const marks = after === undefined ? null : parseCursor(after)
  if (after !== undefined && !marks)
    return problem('bad-parameter', 'after: is not what an answer told as next')
  const ledger = call.places.ledger
  try {
    return marks ? await readBehind(ledger, marks, call, limit) : await readEnd(ledger, call, limit)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') return cannotRead(ledger, error)
    // Moved away in between: the same is to be asked for again.
    const again = (after !== undefined && parseCursor(after)) || [noMark()]
    return answer(find(call, limit, false), again, true)
  }
}

async function readEnd(ledger: string, call: Call, limit: number): Promise<Reply> {
  const mark: Mark = { head: headOf(ledger), offset: 0 }
  let found = find(call, limit, true)
  let isMore = false
  for (let span = TAIL_BYTES; mark.head !== null; span = span * 4) {
    const start = Math.max(0, fs.statSync(ledger).size - span)
    mark.offset = start
    found = find(call, limit, true)
    found.isCut = start > 0
    isMore = await readOn(ledger, mark, found)
    if (found.requests.length >= limit || start === 0 || span >= BYTES_MAX) break
  }
  return answer(found, [mark], isMore)
}

async function readBehind(
  ledger: string,
  marks: Mark[],
  call: Call,
  limit: number,
): Promise<Reply> {
  const found = find(call, limit, false)
  turnOver(ledger, marks, call.nowMs)
  for (let i = 0; i < marks.length; i++) {
    const mark = marks[i] as Mark
    const path = mark.head === null ? null : findLedger(ledger, mark.head)
    if (path !== null && (await readOn(path, mark, found))) return answer(found, marks, true)
  }
  const isOver = (mark: Mark) => mark.untilMs !== undefined && mark.untilMs < call.nowMs
  return answer(
    found,
    marks.filter((mark) => !isOver(mark)),
    false,
  )
}

/** Notes when another file has taken the place of the one that was read last. */
function turnOver(ledger: string, marks: Mark[], nowMs: number): void {
  const last = marks[marks.length - 1] as Mark
  const head = headOf(ledger)
  if (head === null || head === last.head) return
  if (last.head === null) {
    last.head = head
    return
  }
  // Workers write on into the one that was moved until they have opened the new one.
  last.untilMs = nowMs + MOVED_MS
  marks.push({ head, offset: 0 })
}

/** Reads on from a mark, in portions of some milliseconds; whether there may be more. */
async function readOn(path: string, mark: Mark, found: Found): Promise<boolean> {
  while (!isEnough(found)) {
    const lines = readLines(path, mark.offset)
    // Moved away in between: it is found under its new name the next time.
    if (headOf(path) !== mark.head) return true
    // Somebody has made it shorter: what is appended from now on is told.
    if (lines.size < mark.offset) mark.offset = lines.size
    if (lines.next === mark.offset || lines.next > lines.size) return false
    found.bytes += lines.next - mark.offset
    mark.offset = take(found, lines, mark.offset)
    await giveWay()
  }
  return true
}

function isEnough(found: Found): boolean {
  return found.bytes >= found.bytesMax || isFull(found)
}

function isFull(found: Found): boolean {
  return !found.isTail && found.requests.length >= found.limit
}

/** Takes what is wanted of some lines; where the first begins that was not looked at. */
function take(found: Found, lines: Lines, offset: number): number {
  const bytes = lines.bytes
  let at = 0
  while (at < bytes.length) {
    const end = bytes.indexOf(LINE_END, at)
    const stop = end < 0 ? bytes.length : end
    if (found.isCut) found.isCut = false
    else takeLine(found, bytes.toString('utf8', at, stop))
    at = stop + 1
    if (isFull(found) && at < bytes.length) return offset + at
  }
  return lines.next
}

function takeLine(found: Found, text: string): void {
  const read = readLine(text)
  const line = read.line
  if (!line) found.skipped++
  else if (found.client !== undefined && line.client !== found.client) return
  else if (found.outcome !== undefined && line.outcome !== found.outcome) return
  else if (found.requests.push(normalise(line, read.timeMs)) > found.limit) found.requests.shift()
}

function find(call: Call, limit: number, isTail: boolean): Found {
  return {
    client: call.query['client'],
    outcome: call.query['outcome'],
    limit,
    isTail,
    requests: [],
    skipped: 0,
    bytes: 0,
    // Of the tail also what comes while it is read.
    bytesMax: isTail ? 2 * BYTES_MAX : BYTES_MAX,
    isCut: false,
  }
}

/** Before the first line of a ledger. */
function noMark(): Mark {
  return { head: null, offset: 0 }
}

function answer(found: Found, marks: Mark[], isMore: boolean): Reply {
  const next = formatCursor(marks)
  return { status: 200, body: { requests: found.requests, next, isMore, skipped: found.skipped } }
}

function cannotRead(ledger: string, error: unknown): Reply {
  const why = codeOf(error) || (error as Error).message
  const fix =
    "nginx's workers have to be able to read it, for budgets too: look at its owner and mode, and at those of its folder"
  return problem('cannot-read', `Cannot read ${ledger} (${why}): ${fix}`)
}
