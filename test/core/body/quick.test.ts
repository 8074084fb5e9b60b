import { describe, expect, test } from 'vitest'
import type { Route } from '../../../src/core/admit/route.ts'
import { findRoute } from '../../../src/core/admit/routes.ts'
import {
  applyEdits,
  type BodyFacts,
  type BodyRules,
  readBody,
} from '../../../src/core/body/body.ts'
import {
  asked,
  changeQuickly,
  isChanged,
  model,
  QUICK_BYTES_MAX,
  quickFacts,
  readQuickly,
  takeFacts,
} from '../../../src/core/body/quick.ts'
import { randomOf } from '../../random.ts'
import { hostileShape } from './hostile.ts'

const route = (path: string) => findRoute(path) as Route
const CHAT = route('/v1/chat/completions')
const PATHS = [
  '/v1/chat/completions',
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/messages',
  '/v1/responses',
]
const IMAGE = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
const messages = [
  { role: 'system', content: 'Be short.' },
  { role: 'user', content: 'Tell me "something" of 中文 and \\ and {"model":"x"}.' },
]

const quick = (of: Route, text: string, rules: BodyRules = {}) =>
  readQuickly(
    of.name,
    text,
    Buffer.byteLength(text),
    { requestBuffer: Buffer.from(text) },
    rules.metering,
    rules.models,
    rules.request,
  )
    ? quickFacts()
    : null

/** Names that may stand twice in a small body. */
const UNMINDED = ['temperature', 'top_p', 'user', 'stop']

/** What the short way says must be what the long one says. */
function expectSame(of: Route, text: string, rules: BodyRules, found: BodyFacts): void {
  const body = Buffer.from(text)
  const facts = readBody(of, body, rules)
  // Of what the gate does not go by, it matters to nobody which one holds.
  if ('outcome' in facts && UNMINDED.includes(facts.param ?? '')) return
  if ('outcome' in facts) throw new Error(`${facts.message}: ${text}`)
  const { maxima, inserts: __, edits, promptBytes, ...same } = facts
  const { maxima: _, inserts: none, edits: ownEdits, promptBytes: bytes, ...ownSame } = found
  expect(ownSame, text).toEqual(same)
  expect(none).toEqual([])
  // Spaces between fields, and the text of numbers, are all that it may be wrong by.
  const spaces = text.match(/\s/g)?.length ?? 0
  expect(Math.abs(bytes - promptBytes), text).toBeLessThanOrEqual(spaces + 24)
  const [mine, theirs] = [applyEdits(body, ownEdits), applyEdits(body, edits)]
  expect(JSON.parse(mine.toString()), text).toEqual(JSON.parse(theirs.toString()))
}

test.each<[string, object, BodyRules]>([
  ['a chat', { model: 'm', messages }, {}],
  ['a stream', { model: 'm', messages, stream: true, temperature: 0.7 }, {}],
  [
    'a stream whose end is asked for',
    {
      model: 'm',
      messages: [{ role: 'user', content: 'a' }],
      stream: true,
      stream_options: { include_usage: true },
    },
    {},
  ],
  [
    'the same, counted at its end',
    {
      model: 'm',
      messages: [{ role: 'user', content: 'a' }],
      stream: true,
      stream_options: { include_usage: true },
    },
    { metering: 'final' },
  ],
  ['a stream that is not metered', { model: 'm', messages, stream: true }, { metering: 'off' }],
  ['a maximum', { model: 'm', messages, max_tokens: 5, n: 3 }, { request: { maxOutputTokens: 9 } }],
  ['two maxima', { model: 'm', messages, max_tokens: 5, max_completion_tokens: 7 }, {}],
  [
    'no maximum where there is a ceiling',
    { model: 'm', messages, stream: true },
    { request: { maxOutputTokens: 9 } },
  ],
  ['a pattern', { model: 'Qwen/Qwen3-8B', messages }, { models: ['other', 'Qwen/*'] }],
])(
  'the short way takes %s, with escapes or without, and leaves it with spaces',
  (_, body, rules) => {
    const compact = JSON.stringify(body)
    for (const text of [compact, escaped(compact)]) {
      const found = quick(CHAT, text, rules)
      expect(found, text).not.toBeNull()
      expectSame(CHAT, text, rules, found as BodyFacts)
    }
    expect(quick(CHAT, spaced(body), rules)).toBeNull()
  },
)

test.each<[string, string, BodyRules?]>([
  [
    'a name that stands twice',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"model":"b"}',
  ],
  [
    'a name that stands twice, once with an escape',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"mod\\u0065l":"b"}',
  ],
  [
    'a maximum that stands twice',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"max_tokens":1,"max_tokens":9}',
  ],
  [
    'choices that stand twice, in a body that a short number makes as long as without',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"n":9,"max_tokens":1e8,"n":1}',
  ],
  [
    'the same with six short numbers',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"n":9,"top_k":1e3,"seed":2e3,"min_p":3e3,' +
      '"top_p":4e3,"temperature":5e3,"presence_penalty":6e3,"n":1}',
  ],
  [
    'the same with fractions',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"n":9,"min_p":1e-6,"top_p":1e-4,"n":1}',
  ],
  [
    'a maximum that is no exact number',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"max_tokens":9007199254740993}',
  ],
  [
    'a maximum as 1e21, and a space for what is written otherwise',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"n":1E1, "max_tokens":1e21}',
  ],
  [
    'a model of bytes that are no characters',
    '{"model":"a\ufffd","messages":[{"role":"user","content":"a"}]}',
  ],
  ['a maximum as 1e3', '{"model":"a","messages":[{"role":"user","content":"a"}],"max_tokens":1e3}'],
  [
    'a maximum as 1e2, which is as long as 100',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"max_tokens":1e2}',
  ],
  [
    'a maximum as 12e2, which is as long as 1200',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"max_tokens":12e2}',
  ],
  [
    'a user of whose name it is not counted how many bytes it has',
    `{"model":"a","messages":[{"role":"user","content":"a"}],"user":"${'中'.repeat(65)}"}`,
  ],
  ['a maximum as 5.0', '{"model":"a","messages":[{"role":"user","content":"a"}],"max_tokens":5.0}'],
  [
    'a maximum as a text',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"max_tokens":"5"}',
  ],
  ['a maximum of 0', '{"model":"a","messages":[{"role":"user","content":"a"}],"max_tokens":0}'],
  ['a maximum below 0', '{"model":"a","messages":[{"role":"user","content":"a"}],"max_tokens":-1}'],
  [
    'a maximum above the ceiling',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"max_tokens":10}',
    { request: { maxOutputTokens: 9 } },
  ],
  [
    'a maximum of other servers',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"n_predict":10}',
  ],
  ['choices above the ceiling', '{"model":"a","messages":[{"role":"user","content":"a"}],"n":17}'],
  ['half a choice', '{"model":"a","messages":[{"role":"user","content":"a"}],"n":1.5}'],
  [
    'usage that is asked for in another way',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"stream":true,"stream_options":{"include_usage":1}}',
  ],
  [
    'usage that stands twice',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"stream":true,"stream_options":{"include_usage":false,"include_usage":true}}',
  ],
  ['a stream that is 1', '{"model":"a","messages":[{"role":"user","content":"a"}],"stream":1}'],
  [
    'an image',
    '{"model":"a","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}',
  ],
  [
    'a message with more than its content',
    '{"model":"a","messages":[{"role":"user","content":"a","image_url":"x"}]}',
  ],
  ['no model', '{"messages":[{"role":"user","content":"a"}]}'],
  ['a model that is null', '{"model":null,"messages":[{"role":"user","content":"a"}]}'],
  [
    'a model that is denied',
    '{"model":"a","messages":[{"role":"user","content":"a"}]}',
    { models: ['b*'] },
  ],
  [
    'a guarded parameter',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"use_beam_search":true}',
  ],
  [
    'an unknown parameter',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"x":"a text that may come into the prompt"}',
  ],
  [
    'a prototype',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"__proto__":{"stream":true}}',
  ],
  ['a priority', '{"model":"a","messages":[{"role":"user","content":"a"}],"priority":1}'],
  ['white space before it', ' {"model":"a","messages":[{"role":"user","content":"a"}]}'],
  ['a byte order mark', '\ufeff{"model":"a","messages":[{"role":"user","content":"a"}]}'],
  [
    'choices that stand twice, where one space of two is left out',
    '{"model": "a","messages":[{"role":"user","content":"a"}],"n":9, "n":1}',
  ],
  [
    'choices that stand twice, in a body that shorter escapes make as long as without',
    '{"model":"a","messages":[{"role":"user","content":"\\n\\u000a\\n"}],"n":9,"n":1}',
  ],
  [
    'an end of a stream that is asked for by an escaped name',
    '{"model":"a","messages":[{"role":"user","content":"a"}],"stream":true,"stream\\u005foptions":{"include_usage":true}}',
  ],
  [
    'more escapes than are looked for',
    `{"model":"a","messages":[{"role":"user","content":"${'\\n'.repeat(101)}"}]}`,
  ],
  ['no JSON', '{"model":"a","messages":[{"role":"user","content":"a"}]'],
  ['two objects', '{"model":"a","messages":[{"role":"user","content":"a"}]}{}'],
  [
    'a large body',
    `{"model":"a","messages":[{"role":"user","content":"${'a'.repeat(QUICK_BYTES_MAX)}"}]}`,
  ],
])('the short way leaves %s to the long one', (_, text, rules) => {
  expect(quick(CHAT, text, rules)).toBeNull()
})

test('of 60,000 bodies both ways say the same, where the short one says anything', () => {
  let taken = 0
  for (let seed = 1; seed <= 60_000; seed++) {
    const random = randomOf(seed)
    const of = route(pick(random, PATHS))
    const rules = pick<BodyRules>(random, RULES)
    const text = bodyText(random)
    const found = quick(of, text, rules)
    if (!found) continue
    taken++
    try {
      expectSame(of, text, rules, found)
    } catch (error) {
      throw new Error(`Seed ${seed}: ${(error as Error).message}`)
    }
  }
  // Else nothing would be compared.
  expect(taken).toBeGreaterThan(1000)
})

test('hostile shapes are left to the long way, or read alike', () => {
  for (let seed = 1; seed <= 1000; seed++) {
    const shape = hostileShape(seed, 3000)
    const found = quick(route(shape.path), shape.body)
    if (found) expectSame(route(shape.path), shape.body, {}, found)
  }
})

const RULES: BodyRules[] = [
  {},
  { metering: 'off' },
  { metering: 'unasked' },
  { metering: 'final' },
  { models: ['m*', 'Qwen/*'], request: { maxOutputTokens: 100, n: 2, inputs: 3 } },
]

const FIELDS: [string, string[]][] = [
  ['model', ['"m"', '"Qwen/Qwen3-8B"', '"中"', '""', 'null', '7']],
  [
    'messages',
    [
      JSON.stringify(messages),
      '[]',
      '"a"',
      '[{"role":"user","content":"a","name":"b"}]',
      '[{"role":"user","content":[{"type":"text","text":"a"}]}]',
    ],
  ],
  ['prompt', ['"a b c"', '["a","b"]', '[1,2,3]', '[[1],[2]]', '""']],
  ['input', ['"a b c"', '["a","b","c","d"]', '[1,2,3]']],
  ['stream', ['true', 'true', 'false', 'null', '1']],
  [
    'stream_options',
    ['{"include_usage":true}', '{"include_usage": true}', '{"include_usage":false}', '{}', 'null'],
  ],
  ['max_tokens', ['16', '100', '1e2', '5.0', '1e1', '"5"', '0', '-1', 'null', '200']],
  ['max_completion_tokens', ['16', '32']],
  ['n', ['1', '2', '3', '1.0', 'null']],
  ['temperature', ['0.5', '1', 'null', '1e-3']],
  ['top_p', ['0.9']],
  ['user', ['"u"', '"\\"model\\""']],
  ['stop', ['"\\n"', '["a"]', 'null']],
  ['tools', ['[{"type":"function","function":{"name":"f"}}]', 'null']],
  ['x', ['1', '"abc"']],
  ['logprobs', ['true', '5']],
]

function bodyText(random: () => number): string {
  const isCompact = random() < 0.8
  const colon = isCompact ? ':' : pick(random, [':', ': '])
  const comma = isCompact ? ',' : pick(random, [',', ', ', ',\n  '])
  const fields = FIELDS.filter(
    ([name]) => random() < (name === 'model' || name === 'messages' ? 0.9 : 0.25),
  )
  // Now and then a name stands twice.
  if (random() < 0.1) fields.push(pick(random, FIELDS))
  const texts = fields.map(
    ([name, values]) => `"${name}"${colon}${random() < 0.6 ? values[0] : pick(random, values)}`,
  )
  return `{${texts.join(comma)}}`
}

function pick<T>(random: () => number, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T
}

/** With every other letter of its texts as an escape. */
function escaped(json: string): string {
  let count = 0
  return json.replace(/"content":"(?:[^"\\]|\\.)*"/g, (text) =>
    text.replace(/(?<=:".*)[a-z]/g, (letter) => {
      return ++count % 2 ? letter : `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`
    }),
  )
}

/** As Python's json.dumps writes it. */
function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const fields = Object.entries(value).map(
    ([name, one]) => `${JSON.stringify(name)}: ${spaced(one)}`,
  )
  return `{${fields.join(', ')}}`
}

describe('what the long reader has found', () => {
  const tools = [{ type: 'function', function: { name: 'f', parameters: {} } }]
  const read = (body: object, rules: BodyRules = {}) => {
    const bytes = Buffer.from(JSON.stringify(body))
    const facts = readBody(CHAT, bytes, rules)
    if ('outcome' in facts) throw new Error(facts.message)
    return { bytes, facts }
  }

  test('is taken with its changes, until the next body is read', () => {
    const { bytes, facts } = read({ model: 'm', messages, tools, stream: true })
    expect(takeFacts(facts)).toBe(true)
    expect([model, asked, quickFacts(), isChanged()]).toEqual(['m', 'm', facts, true])
    expect(changeQuickly(bytes)).toEqual(applyEdits(bytes, facts.edits))
    const next = JSON.stringify({ model: 'n', messages: [{ role: 'user', content: 'a' }] })
    expect(quick(CHAT, next)).toMatchObject({ model: 'n', isStream: false, edits: [] })
    expect(isChanged()).toBe(false)
  })

  test.each(['big","object":"chat.completion', 'a\\b', '模型', 'a b'])(
    'has no name that an answer could have by itself: %j',
    (name) => {
      expect(
        quick(CHAT, JSON.stringify({ model: name, messages: [{ role: 'user', content: 'a' }] })),
      ).toBeNull()
      expect(takeFacts(read({ model: name, messages, tools }).facts)).toBe(true)
      expect([model, asked]).toEqual([name, ''])
    },
  )

  test('changes nothing where nothing is to be changed', () => {
    expect(takeFacts(read({ model: 'm', messages, tools, max_tokens: 3 }).facts)).toBe(true)
    expect(isChanged()).toBe(false)
  })

  test.each<[string, object]>([
    ['without a model', { messages }],
    ['with an image', { model: 'm', messages: [{ role: 'user', content: [IMAGE] }] }],
    ['with a prompt of ids', { model: 'm', messages, input_ids: [1, 2, 3] }],
    ['with a huge maximum', { model: 'm', messages, max_tokens: 2e9 }],
  ])('is left to the long way %s', (_, body) => {
    const { facts } = read(body)
    expect(takeFacts(facts)).toBe(false)
  })
})
