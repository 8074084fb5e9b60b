import type { Mark } from '../ledger/balancefile.ts'

/** As many ledgers are followed at the same time: after a rotation the old one for a while. */
const MARKS_MAX = 4

/** The head of a ledger that has no first line yet. */
const NO_HEAD = 'none'

/**
 * Writes how far somebody has read the ledger, the oldest file first: `<head>-<offset>`, for one that was
 * moved away also `-<until>`, with dots between.
 */
export function formatCursor(marks: Mark[]): string {
  return marks
    .slice(-MARKS_MAX)
    .map((mark) => {
      const place = `${mark.head === null ? NO_HEAD : mark.head}-${mark.offset}`
      return mark.untilMs === undefined ? place : `${place}-${mark.untilMs}`
    })
    .join('.')
}

/** Reads it back; null when it is none. Only the last file may have no first line. */
export function parseCursor(text: string): Mark[] | null {
  const parts = text.split('.')
  if (parts.length > MARKS_MAX) return null
  const marks: Mark[] = []
  for (let i = 0; i < parts.length; i++) {
    const found = /^(none|[0-9a-f]{64})-(\d{1,15})(?:-(\d{1,15}))?$/.exec(parts[i] as string)
    if (!found) return null
    const head = found[1] === NO_HEAD ? null : (found[1] as string)
    if (head === null && i < parts.length - 1) return null
    const mark: Mark = { head, offset: Number(found[2]) }
    if (found[3] !== undefined) mark.untilMs = Number(found[3])
    marks.push(mark)
  }
  return marks
}
