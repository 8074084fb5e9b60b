/** A change in the body: bytes from start up to end become the text. */
export type Edit = { start: number; end: number; text: string }

/** With one edit more, instead of an earlier one at the same place, and in the order of places. */
export function addEdit(edits: Edit[], start: number, end: number, text: string): Edit[] {
  const made: Edit[] = []
  let added: Edit | null = { start, end, text }
  for (let i = 0; i < edits.length; i++) {
    const edit = edits[i] as Edit
    if (added && edit.start >= start) {
      made.push(added)
      added = null
    }
    if (edit.start !== start) made.push(edit)
  }
  if (added) made.push(added)
  return made
}

/** Whether the object whose brace is right before a place is empty. */
export function isEmptyObject(body: Buffer, at: number): boolean {
  return body[skipSpaces(body, at)] === 125
}

/** The place of the next byte that is no white space. */
export function skipSpaces(bytes: Buffer, at: number): number {
  let byte = bytes[at]
  while (byte === 32 || byte === 9 || byte === 10 || byte === 13) byte = bytes[++at]
  return at
}

/** The body with its edits. */
export function applyEdits(body: Buffer, edits: Edit[]): Buffer {
  const parts: Buffer[] = []
  let at = 0
  for (let i = 0; i < edits.length; i++) {
    const edit = edits[i] as Edit
    parts.push(body.subarray(at, edit.start), Buffer.from(edit.text))
    at = edit.end
  }
  parts.push(body.subarray(at))
  return Buffer.concat(parts)
}
