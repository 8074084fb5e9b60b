/** Bodies that are meant to be dear: of a seed, so that a failure can be looked at again. */
import { randomOf } from '../../random.ts'

/** A body, and how it was made. */
export type Shape = { name: string; path: string; body: string }

/** What is repeated: a value and the comma behind it, as it stands in a list. */
const VALUES: [string, (random: () => number) => string][] = [
  ['lists', () => '[],'],
  ['objects', () => '{},'],
  ['strings', () => '"",'],
  ['short strings', (random) => `"${'a'.repeat(1 + random() * 12)}",`],
  ['long strings', (random) => `"${'x'.repeat(100 + random() * 9000)}",`],
  ['Chinese', () => '"中文字",'],
  ['numbers', (random) => `${'1234567890'.slice(0, 1 + random() * 9)},`],
  ['long numbers', (random) => `${'7'.repeat(10 + random() * 400)},`],
  ['floats', () => '-1.25e-7,'],
  ['words', () => 'true,null,'],
  ['wrong words', () => 'NaN,'],
  ['nested lists', (random) => nested('[', ']', random)],
  ['nested objects', (random) => nested('{"a":', '}', random, '0')],
  ['open lists', () => '['],
  ['closed lists', () => ']'],
  ['white space', (random) => `${' '.repeat(1 + random() * 60)}1,`],
  ['lines', (random) => `\n${' '.repeat(random() * 30)}"a": "b",`],
  ['commas', () => ','],
  ['colons', () => ':'],
  ['escaped quotes', (random) => `"${escaped('\\"', random)}",`],
  ['escaped backslashes', (random) => `"${escaped('\\\\', random)}",`],
  ['line ends', (random) => `"${escaped('\\n', random)}",`],
  ['escaped letters', (random) => `"${escaped('\\u0041', random)}",`],
  ['brackets in strings', (random) => `"${escaped('[{]}', random)}",`],
  ['twice quoted JSON', (random) => `"${escaped('x\\\\\\"', random)}",`],
  ['quoted JSON', (random) => `"${escaped('{\\"a\\":[\\"b\\"]}', random)}",`],
  ['data URLs', (random) => `"data:image/png;base64,${'A'.repeat(random() * 40)}",`],
  ['data URLs without a comma', () => '"data:image/png;base64",'],
  ['keys of data', (random) => `{"data":"${'A'.repeat(random() * 40)}"},`],
  ['keys of data and spaces', (random) => `{"data"${' '.repeat(random() * 40)}:"A"},`],
  ['addresses', () => '{"image_url":1},'],
  ['names that look so', () => '"daaaa","aurl",'],
  ['messages', () => '{"role":"user","content":"a"},'],
  ['token ids', () => '[1],'],
]

/** What may stand at the top and is no list, object or string. */
const SCALARS = ['E', '1', '.', 'true', '-', 'e+']

/** Where it stands: what comes before, what behind it. */
const PLACES: [string, string, string, string][] = [
  ['an unknown field', '/v1/chat/completions', '{"model":"M","x":[', '1],"messages":[]}'],
  ['the messages', '/v1/chat/completions', '{"model":"M","messages":[', '1]}'],
  [
    'tools, behind them',
    '/v1/chat/completions',
    '{"model":"M","messages":[],"tools":[',
    '1],"n":1}',
  ],
  ['the prompt', '/v1/completions', '{"model":"M","prompt":[', '1],"max_tokens":1}'],
  ['the input', '/v1/embeddings', '{"input":[', '1],"model":"M"}'],
  ['stream_options', '/v1/chat/completions', '{"stream":true,"stream_options":{"a":[', '1]}}'],
  ['documents', '/v1/rerank', '{"query":"a","documents":{"content":[', '1]},"model":"M"}'],
  ['an object', '/v1/chat/completions', '{"model":"M","x":{"y":[', '1]},"messages":[]}'],
  ['no place for a value', '/v1/chat/completions', '{"model":"M",', '"messages":[]}'],
  ['an end that is missing', '/v1/chat/completions', '{"model":"M","x":[', ''],
]

function nested(open: string, close: string, random: () => number, inside = ''): string {
  const depth = 1 + Math.floor(random() ** 3 * 520)
  return `${open.repeat(depth)}${inside}${close.repeat(depth)},`
}

/** A piece of a string, again and again, with letters between: as many each time, or none. */
function escaped(piece: string, random: () => number): string {
  const between = 'x'.repeat(Math.floor(random() ** 2 * 30))
  return (piece + between).repeat(1 + Math.floor(random() ** 4 * 20000))
}

/** Something that was made of JSON's own bytes without any sense. */
function nonsense(random: () => number): string {
  const letters = '[]{}"",:\\ 1aul_d'
  let text = ''
  const length = 1 + random() * 24
  while (text.length < length) text += letters[Math.floor(random() * letters.length)]
  return text
}

/** Keys at the top, each of its own name, with the value. */
function keys(value: string, bytes: number): string {
  const parts: string[] = []
  for (let size = 0, i = 0; size < bytes; i++) {
    const part = `"k${i.toString(36).padStart(5, '0')}":${value}`
    parts.push(part)
    size += part.length
  }
  return parts.join('')
}

/** The shape of a seed, of about so many bytes. */
export function hostileShape(seed: number, bytes: number): Shape {
  const random = randomOf(seed)
  const pick = <T>(from: T[]): T => from[Math.floor(random() * from.length)] as T
  const fill = (share: number): { name: string; text: string } => {
    const [name, make] = random() < 0.2 ? ['nonsense', nonsense] : pick(VALUES)
    const unit = make(random)
    const size = Math.max(1, Math.floor((bytes * share) / unit.length))
    if (random() < 0.1) return { name: `keys of ${name}`, text: keys(unit, bytes * share) }
    if (random() < 0.05) {
      const scalar = pick(SCALARS)
      const text = keys(`${scalar.repeat(1 + random() ** 4 * bytes * share)},`, bytes * share)
      return { name: `keys of scalars ${scalar}`, text }
    }
    return { name, text: unit.repeat(size) }
  }
  const [place, path, before, behind] = pick(PLACES)
  // One kind, or several that stand one behind the other.
  const count = random() < 0.6 ? 1 : 2 + Math.floor(random() * 3)
  const parts = Array.from({ length: count }, () => fill(1 / count))
  const name = `seed ${seed}: ${parts.map((part) => part.name).join(', ')} in ${place}`
  return { name, path, body: before + parts.map((part) => part.text).join('') + behind }
}
