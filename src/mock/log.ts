import type { IncomingMessage } from 'node:http'
import { performance } from 'node:perf_hooks'

/** What reached the mock and how it ended. Times are ms since the epoch, with fractions. */
export type MockRecord = {
  id: number
  time: number
  method: string
  /** The request target as it came, undecoded. */
  path: string
  /** Names in lower case; repeated ones joined with ", ". */
  headers: Record<string, string>
  rawHeaders: string[]
  bodyBytes: number
  /** The first 64 KB. */
  body: string
  /** When the first byte of the answer's body was sent: the headers of a stream go out before it, as in vLLM. */
  firstByteAt: number | null
  lastByteAt: number | null
  closedAt: number | null
  /** The caller closed before the answer had ended. */
  aborted: boolean
  /** Events of a stream, `[DONE]` among them; comments are not counted. */
  eventsSent: number
}

/** The records of one mock, oldest first. */
export type Log = {
  open(request: IncomingMessage): MockRecord
  body(record: MockRecord, body: Buffer): void
  records(): MockRecord[]
  clear(): void
}

const bodyBytesKept = 64 * 1024
// A benchmark sends hundreds of thousands of requests; only the newest are of use.
const recordsKept = 20_000
const allBodiesBytesKept = 16 * 1024 * 1024

/** Now in ms since the epoch, with the fractions that Date.now() lacks. */
export function now(): number {
  return performance.timeOrigin + performance.now()
}

/** Creates an empty log. It holds the newest 20,000 records and 16 MB of bodies; older bodies become ''. */
export function createLog(): Log {
  let records: MockRecord[] = []
  let nextId = 1
  let bodiesBytes = 0
  let oldestWithBody = 0

  function open(request: IncomingMessage): MockRecord {
    const record = emptyRecord(nextId++, request)
    if (records.length >= recordsKept) {
      const dropped = records.splice(0, recordsKept / 2)
      oldestWithBody = Math.max(0, oldestWithBody - dropped.length)
      for (const old of dropped) bodiesBytes -= old.body.length
    }
    records.push(record)
    return record
  }

  function body(record: MockRecord, bytes: Buffer): void {
    record.bodyBytes = bytes.length
    record.body = bytes.toString('utf8', 0, Math.min(bytes.length, bodyBytesKept))
    bodiesBytes += record.body.length
    for (; bodiesBytes > allBodiesBytesKept && oldestWithBody < records.length; oldestWithBody++) {
      const oldest = records[oldestWithBody]
      if (oldest === undefined || oldest === record) break
      bodiesBytes -= oldest.body.length
      oldest.body = ''
    }
  }

  function clear(): void {
    records = []
    bodiesBytes = 0
    oldestWithBody = 0
  }

  return { open, body, records: () => records, clear }
}

function emptyRecord(id: number, request: IncomingMessage): MockRecord {
  return {
    id,
    time: now(),
    method: request.method ?? '',
    path: request.url ?? '',
    headers: joinedHeaders(request.rawHeaders),
    rawHeaders: request.rawHeaders,
    bodyBytes: 0,
    body: '',
    firstByteAt: null,
    lastByteAt: null,
    closedAt: null,
    aborted: false,
    eventsSent: 0,
  }
}

function joinedHeaders(raw: string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase()
    const value = raw[index + 1] ?? ''
    headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value
  }
  return headers
}
