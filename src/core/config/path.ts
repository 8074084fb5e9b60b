/** A place in a document: names of fields, and indexes of arrays. */
export type Segment = string | number

/**
 * Writes a place as people read it: `clients.app-frontend.keys[0].id`. A name with other characters,
 * such as a dot, is quoted as in JSON: `clients["app.example"].plan`.
 */
export function formatPath(segments: Segment[]): string {
  const bare = /^[A-Za-z0-9_$@:+-]+$/
  let text = ''
  segments.forEach((segment) => {
    if (typeof segment === 'number') text += `[${segment}]`
    else if (!bare.test(segment)) text += `[${JSON.stringify(segment)}]`
    else text += text === '' ? segment : `.${segment}`
  })
  return text
}

/** The reverse of formatPath(); null when the text is no such path. */
export function parsePath(text: string): Segment[] | null {
  const step = /^(?:\.?([A-Za-z0-9_$@:+-]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\])/
  const segments: Segment[] = []
  let rest = text
  while (rest !== '') {
    const match = step.exec(rest)
    if (!match) return null
    if (match[1] !== undefined) segments.push(match[1])
    else if (match[2] !== undefined) segments.push(Number(match[2]))
    else segments.push(JSON.parse(match[3] || '""'))
    rest = rest.slice(match[0].length)
  }
  return segments
}
