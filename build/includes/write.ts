/** A row of a map: what its source is, and the value. `default` is nginx's word for all else. */
export type MapRow = readonly [key: string, value: string]

/** An argument of a directive: bare where nginx can read it so, else in quotes. */
export function quote(text: string): string {
  if (/^[\w./$-]+$/.test(text)) return text
  if (/[\n\r\t]/.test(text)) throw new Error(`Cannot write ${JSON.stringify(text)} for nginx`)
  const mark = text.includes('"') ? "'" : '"'
  // Before these nginx drops a backslash, or makes a control character of both; it keeps every other one.
  const escaped = text.replace(/\\(?=["'\\trn]|$)/g, '\\\\')
  return mark + escaped.replaceAll(mark, `\\${mark}`) + mark
}

/** Words of ours, as the value of a map: nginx would take a dollar sign for a variable, and knows no escape. */
export function literal(text: string): string {
  if (text.includes('$')) throw new Error(`nginx cannot say "${text}": it has a dollar sign`)
  return text
}

/** A map, with a comment before it where that is not empty. */
export function writeMap(
  comment: string,
  source: string,
  variable: string,
  rows: readonly MapRow[],
): string {
  const lines = rows.map(([key, value]) => `  ${quote(key)} ${quote(value)};`)
  return [
    ...(comment ? [writeComment(comment)] : []),
    `map ${quote(source)} $${variable} {`,
    ...lines,
    '}',
  ].join('\n')
}

/** Lines of at most 110 columns. */
export function writeComment(text: string): string {
  const lines: string[] = []
  let line = '#'
  for (const word of text.trim().split(/\s+/)) {
    if (line.length + word.length + 1 > 110) {
      lines.push(line)
      line = '#'
    }
    line += ` ${word}`
  }
  return [...lines, line].join('\n')
}

/** A whole include, of paragraphs. */
export function writeInclude(title: string, paragraphs: readonly string[]): string {
  const made = 'Made by build/includes.ts, do not edit: `node build.mjs` writes it.'
  return `${[`${writeComment(title)}\n${writeComment(made)}`, ...paragraphs].join('\n\n')}\n`
}
