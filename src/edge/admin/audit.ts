import fs from 'fs'
import { type AuditLine, readAudit } from '../../core/admin/auditline.ts'
import { readLimit } from '../../core/admin/replies.ts'
import type { Call, Reply } from '../../core/admin/types.ts'
import { exists } from '../config/files.ts'
import { giveWay } from '../giveway.ts'

const LIMIT_USUAL = 100
const LIMIT_MAX = 1000

/** So much is read in one go, some milliseconds, and in all: a usual line has 400 bytes, some have 64 KB. */
const PIECE_BYTES = 65536
const BYTES_MAX = 1048576

const LINE_END = 10

/** Entries that are being collected, the newest first. */
type Found = { entries: AuditLine[]; limit: number; bytes: number }

/**
 * GET /audit: the newest changes first, from the running log and the one that was rotated last, as far as
 * a megabyte goes back.
 */
export async function listAudit(call: Call): Promise<Reply> {
  const limit = readLimit(call, LIMIT_USUAL, LIMIT_MAX)
  if (typeof limit !== 'number') return limit
  const found: Found = { entries: [], limit, bytes: 0 }
  await readNewest(call.places.audit, found)
  await readNewest(`${call.places.audit}.1`, found)
  return { status: 200, body: { entries: found.entries } }
}

async function readNewest(path: string, found: Found): Promise<void> {
  if (!exists(path)) return
  const file = fs.openSync(path, 'r')
  try {
    let end = fs.fstatSync(file).size
    // The part of a line that the next piece begins.
    let rest = Buffer.alloc(0)
    while (end > 0 && found.bytes < BYTES_MAX && found.entries.length < found.limit) {
      const length = Math.min(end, PIECE_BYTES)
      const piece = Buffer.alloc(length)
      fs.readSync(file, piece, 0, length, end - length)
      end -= length
      found.bytes += length
      const lines = Buffer.concat([piece, rest])
      const start = end === 0 ? 0 : piece.indexOf(LINE_END) + 1
      if (start === 0 && end > 0) {
        rest = lines
        continue
      }
      take(found, lines.toString('utf8', start))
      rest = lines.subarray(0, start)
      await giveWay()
    }
  } finally {
    fs.closeSync(file)
  }
}

function take(found: Found, text: string): void {
  readAudit(text, found.limit - found.entries.length).forEach((entry) => {
    found.entries.push(entry)
  })
}
