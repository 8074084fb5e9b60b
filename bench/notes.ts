const notes: string[] = []

/** Prints a line while the bench runs. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Prints a line that also stands in the report, such as what was left out and why. */
export function say(line: string): void {
  tell(line)
  if (!notes.includes(line)) notes.push(line)
}

/** All lines for the report. */
export function listNotes(): string[] {
  return [...notes]
}
