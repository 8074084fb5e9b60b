import fs from 'fs'
import { type AuditLine, readAudit } from '../../core/admin/auditline.ts'
import { readLimit } from '../../core/admin/replies.ts'
import type { Call, Reply } from '../../core/admin/types.ts'
import { exists } from '../config/files.ts'

const LIMIT_USUAL = 100
const LIMIT_MAX = 1000

/** So much of the end of a file is read at first, and at most; a usual line has 400 bytes. */
const TAIL_BYTES = 65536
const TAIL_BYTES_MAX = 4194304

/** GET /audit: the newest changes first, from the running log and the one that was rotated last. */
export function listAudit(call: Call): Reply {
  const limit = readLimit(call, LIMIT_USUAL, LIMIT_MAX)
  if (typeof limit !== 'number') return limit
  let entries = readNewest(call.places.audit, limit)
  if (entries.length < limit) {
    entries = entries.concat(readNewest(`${call.places.audit}.1`, limit - entries.length))
  }
  return { status: 200, body: { entries } }
}

function readNewest(path: string, limit: number): AuditLine[] {
  if (!exists(path)) return []
  const file = fs.openSync(path, 'r')
  try {
    const size = fs.fstatSync(file).size
    let length = Math.min(size, TAIL_BYTES)
    for (;;) {
      const buffer = Buffer.alloc(length)
      fs.readSync(file, buffer, 0, length, size - length)
      const text = buffer.toString('utf8')
      const whole = length === size ? text : text.slice(text.indexOf('\n') + 1)
      const entries = readAudit(whole, limit)
      if (entries.length >= limit || length === size || length >= TAIL_BYTES_MAX) return entries
      length = Math.min(size, length * 4)
    }
  } finally {
    fs.closeSync(file)
  }
}
