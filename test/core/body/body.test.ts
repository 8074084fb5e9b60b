import { describe, expect, it } from 'vitest'
import type { Route } from '../../../src/core/admit/route.ts'
import { findRoute } from '../../../src/core/admit/routes.ts'
import {
  applyEdits,
  type BodyFacts,
  type BodyRefusal,
  type BodyRules,
  limitOutput,
  readBody,
} from '../../../src/core/body/body.ts'
import { hostileShape } from './hostile.ts'
import { MALFORMED, OPEN, TAKEN, TWICE } from './objects.ts'

const PATHS: { [name: string]: string } = {
  chat: '/v1/chat/completions',
  completions: '/v1/completions',
  responses: '/v1/responses',
  messages: '/v1/messages',
  count_tokens: '/v1/messages/count_tokens',
  embeddings: '/v1/embeddings',
  score: '/v1/score',
  rerank: '/v1/rerank',
  embed_v2: '/v2/embed',
  tokenize: '/tokenize',
  chat_batch: '/v1/chat/completions/batch',
}

function routeOf(name: string): Route {
  const route = findRoute(PATHS[name] ?? '')
  if (!route) throw new Error(`No route ${name}`)
  return route
}

const OFF: BodyRules = { metering: 'off' }

function read(route: string, body: string | Buffer, rules: BodyRules = OFF) {
  return readBody(routeOf(route), Buffer.from(body), rules)
}

function facts(route: string, body: string | Buffer, rules: BodyRules = OFF): BodyFacts {
  const result = read(route, body, rules)
  if ('outcome' in result) throw new Error(`${result.outcome}: ${result.message}`)
  return result
}

/** What goes to the server, or the outcome and parameter of the refusal. */
function sent(route: string, body: string, rules: BodyRules = OFF): string {
  const result = read(route, body, rules)
  if ('outcome' in result) return `${result.outcome} ${result.param}`
  for (let i = 1; i < result.edits.length; i++) {
    expect(result.edits[i]?.start).toBeGreaterThanOrEqual(result.edits[i - 1]?.end ?? 0)
  }
  return applyEdits(Buffer.from(body), result.edits).toString()
}

function refusal(route: string, body: string | Buffer, rules: BodyRules = OFF): BodyRefusal {
  const result = read(route, body, rules)
  if (!('outcome' in result)) throw new Error('Not refused')
  return result
}

describe('readBody: one body after another', () => {
  const bodies: (string | Buffer)[] = [
    ...[...MALFORMED, ...OPEN, ...TWICE, ...TAKEN].map(([, text]) => text),
    ...Array.from({ length: 40 }, (_, seed) => hostileShape(seed, 400).body),
    ...['', '{"a":"\0"}', '\ufeff{}', '{"model":"m","messages":[{"role":"user","content":"a"}]}'],
    '{"model":"m","documents":{"content":["a","b"]},"query":"q"}',
    '{"model":"m","stream":true,"stream_options":{}}',
    Buffer.from('{"model":"a"}', 'utf16le'),
  ]

  it('says the same of each, whatever was read before it', () => {
    for (const route of ['chat', 'rerank']) {
      const alone = bodies.map((body) => JSON.stringify([read(route, '{}'), read(route, body)][1]))
      for (const before of bodies) {
        for (const [i, body] of bodies.entries()) {
          read(route, before)
          expect(JSON.stringify(read(route, body)), `${before} and ${body}`).toBe(alone[i])
        }
      }
    }
  })
})

describe('readBody: the body as a whole', () => {
  it.each([
    ['nothing', ''],
    ['white space', ' \n'],
    ['a list', '[]'],
    ['a string', '"a"'],
    ['null', 'null'],
    ['a cut object', '{"a":1'],
    ['bytes behind the brace', '{} {}'],
    ['a byte order mark', '\ufeff{}'],
    ['UTF-16', Buffer.from('{"model":"a"}', 'utf16le')],
    ['UTF-16 with its mark', Buffer.from('\ufeff{"model":"a"}', 'utf16le')],
    ['a NUL byte inside of a string', '{"a":"\0"}'],
    ['a NUL byte behind the brace', '{}\0'],
    ['NaN', '{"temperature":NaN}'],
    ['a key of 300 bytes', `{"${'k'.repeat(300)}":1}`],
    ['a megabyte of open lists', `{"a":${'['.repeat(1e6)}`],
    ['a megabyte of lists', `{"a":[${'[],'.repeat(3e5)}[]]}`.repeat(2)],
  ])('refuses %s', (_, body) => {
    expect(refusal('chat', body)).toMatchObject({ outcome: 'invalid_body', param: null })
  })

  it.each([
    ['model', '{"model":"a","messages":[],"model":"b"}', 'model'],
    ['model, once escaped', '{"model":"a","mod\\u0065l":"b"}', 'model'],
    ['a field that the gate does not know', '{"seed":1,"seed":2}', 'seed'],
    [
      'include_usage',
      '{"stream_options":{"include_usage":true,"include_usage":1}}',
      'stream_options/include_usage',
    ],
  ])('refuses two of %s, and names it', (_, body, param) => {
    const { outcome, message } = refusal('chat', body)
    expect({ outcome, message }).toEqual({
      outcome: 'invalid_body',
      message: `The request body has the same key twice: "${param}"`,
    })
  })

  it.each([
    ['documents', '{"model":"m","query":"q","documents":{"content":', '}}'],
    ['stream_options', '{"model":"m","stream_options":{"a":', '}}'],
    ['an unknown field', '{"model":"m","a":', '}'],
  ])('counts parts and escapes inside of %s once', (_, before, behind) => {
    for (const value of [`["${'a","'.repeat(4200)}"]`, `"${'\\"xxxxxxxxxxxx'.repeat(600000)}"`])
      expect(
        read('rerank', before + value + behind, { ...OFF, request: { inputs: 9000 } }),
      ).not.toHaveProperty('outcome')
  })

  it('counts the images of an object that it looks into', () => {
    const image = `"data:image/png;base64,${'A'.repeat(40)}"`
    expect(facts('rerank', `{"model":"m","documents":{"images":[${image}]}}`).media).toBe(1)
  })

  it.each([
    ['big integers', '{"seed":9223372036854775807,"n":1}'],
    ['odd white space and order', '\r\n{ "z":1 ,\t"model" : "a","a":[ 1,2 ]\n}\n '],
    ['unknown fields with their doubles inside', '{"x":{"model":1,"model":2},"y":1e999}'],
    ['bytes that are not UTF-8', Buffer.from([123, 34, 97, 34, 58, 34, 255, 254, 34, 125])],
    ['nested fields that are called as those at the top', '{"a":{"stream":1,"n":99,"model":3}}'],
  ])('leaves %s as they are', (_, body) => {
    expect(facts('chat', body).edits).toEqual([])
  })
})

describe('readBody: a byte order mark', () => {
  it('U: is named', () => {
    expect(refusal('chat', '\ufeff{"model":"a"}').message).toBe(
      'The request body begins with a byte order mark: send UTF-8 without one',
    )
  })
})

describe('readBody: model', () => {
  const rules = { ...OFF, models: ['llama-*', 'tiny'] }

  it.each([
    ['that fits a pattern', '{"model":"llama-8b"}', rules, 'llama-8b'],
    ['that fits a name', '{"model":"tiny"}', rules, 'tiny'],
    ['of any name where there is no list', '{"model":"x"}', OFF, 'x'],
    ['written with escapes', '{"model":"ll\\u0061ma-8b"}', rules, 'llama-8b'],
    ['under an escaped key', '{"mod\\u0065l":"tiny"}', rules, 'tiny'],
    ['that is missing where there is no list', '{}', OFF, undefined],
    ['that is missing, with *', '{}', { ...OFF, models: ['*'] }, undefined],
    ['that is null, with *', '{"model":null}', { ...OFF, models: ['*'] }, undefined],
    [
      'that is missing, with a default in the list',
      '{}',
      { ...rules, defaultModel: 'tiny' },
      undefined,
    ],
    ['of 256 bytes', `{"model":"${'é'.repeat(128)}"}`, OFF, 'é'.repeat(128)],
    ['of 256 bytes, all escaped', `{"model":"${'\\u0061'.repeat(256)}"}`, OFF, 'a'.repeat(256)],
  ])('takes a model %s', (_, body, given, model) => {
    expect(facts('chat', body, given).model).toBe(model)
  })

  it.each([
    ['that fits nothing', '{"model":"gpt-4"}', rules, 'model_denied'],
    ['of a nested object only', '{"a":{"model":"tiny"}}', rules, 'model_denied'],
    ['that is missing', '{}', rules, 'model_denied'],
    ['that is null', '{"model":null}', rules, 'model_denied'],
    ['that is empty, which means the default', '{"model":""}', rules, 'model_denied'],
    [
      'that is missing, with a default that fits nothing',
      '{}',
      { ...rules, defaultModel: 'big' },
      'model_denied',
    ],
    ['where nothing is allowed', '{"model":"tiny"}', { ...OFF, models: [] }, 'model_denied'],
    ['that is a number', '{"model":1}', OFF, 'invalid_body'],
    ['that is a list', '{"model":["tiny"]}', OFF, 'invalid_body'],
    ['that is an object', '{"model":{}}', OFF, 'invalid_body'],
    ['of 257 bytes', `{"model":"${'a'.repeat(257)}"}`, OFF, 'invalid_body'],
    ['of a megabyte', `{"model":"${'a'.repeat(1e6)}"}`, OFF, 'invalid_body'],
    ['with a broken escape', '{"model":"\\uzzzz"}', OFF, 'invalid_body'],
    ['with half a surrogate pair', '{"model":"\\ud800"}', OFF, 'invalid_body'],
    ['with a line break in it', '{"model":"a\nb"}', OFF, 'invalid_body'],
  ])('refuses a model %s', (_, body, given, outcome) => {
    expect(refusal('chat', body, given)).toMatchObject({ outcome, param: 'model' })
  })
})

describe('readBody: ceilings', () => {
  it.each([
    ['n at the ceiling', 'chat', '{"n":16}', '{"n":16}'],
    ['n one above it', 'chat', '{ "n" : 17 , "x":1}', '{ "n" : 16 , "x":1}'],
    ['n null', 'chat', '{"n":null}', '{"n":null}'],
    ['n of 15 digits', 'chat', '{"n":999999999999999}', '{"n":16}'],
    ['best_of', 'completions', '{"best_of":1000}', '{"best_of":16}'],
    ['n_cmpl, beside n', 'chat', '{"n":1,"n_cmpl":400}', '{"n":1,"n_cmpl":16}'],
    [
      'top_logprobs',
      'chat',
      '{"logprobs":true,"top_logprobs":21}',
      '{"logprobs":true,"top_logprobs":20}',
    ],
    ['logprobs of completions', 'completions', '{"logprobs":100}', '{"logprobs":20}'],
    ['logprobs for all', 'completions', '{"logprobs":-1}', '{"logprobs":20}'],
    ['prompt_logprobs for all', 'completions', '{"prompt_logprobs":-1}', '{"prompt_logprobs":5}'],
    ['prompt_logprobs none', 'completions', '{"prompt_logprobs":0}', '{"prompt_logprobs":0}'],
    [
      'several at once',
      'chat',
      '{"n":99,"a":1,"top_logprobs":99}',
      '{"n":16,"a":1,"top_logprobs":20}',
    ],
  ])('clamps to the usual ceilings: %s', (_, route, body, expected) => {
    expect(sent(route, body)).toBe(expected)
  })

  it.each([
    ['a lower one', '{"n":3}', { n: 2 }, '{"n":2}'],
    ['a higher one', '{"n":30}', { n: 40 }, '{"n":30}'],
    ['by refusal', '{"n":3}', { n: 2, excess: 'refuse' as const }, 'parameter_denied n'],
    ['by refusal, at it', '{"n":2}', { n: 2, excess: 'refuse' as const }, '{"n":2}'],
    [
      'by refusal, of all',
      '{"prompt_logprobs":-1}',
      { excess: 'refuse' as const },
      'parameter_denied prompt_logprobs',
    ],
  ])('keeps the ceilings of the policy: %s', (_, body, request, expected) => {
    expect(sent('completions', body, { ...OFF, request })).toBe(expected)
  })

  it('names parameter, value and ceiling', () => {
    const rules = { ...OFF, request: { n: 2, excess: 'refuse' as const } }
    expect(refusal('chat', '{"n":3}', rules).message).toBe(
      'The parameter n 3 is above the ceiling of 2',
    )
  })

  it.each(['-1', '1.5', '1e3', '1e999', '"5"', 'true', '[1]', '{}', '-0', '99999999999999999999'])(
    'refuses %s as a number, since parsers differ over it',
    (value) => {
      expect(sent('chat', `{"n":${value}}`)).toBe('invalid_body n')
      if (value !== '-1')
        expect(sent('chat', `{"max_tokens":${value}}`)).toBe('invalid_body max_tokens')
    },
  )

  it.each([
    ['one choice where nothing is said', 'chat', '{}', 1],
    ['one choice where n is null', 'chat', '{"n":null}', 1],
    ['n', 'chat', '{"n":4}', 4],
    ['the larger of n and best_of', 'completions', '{"n":2,"best_of":5}', 5],
    ['the larger of n and n_cmpl', 'chat', '{"n":1,"n_cmpl":9}', 9],
    ['n after the ceiling', 'chat', '{"n":400}', 16],
    ['U: n with a fraction of none', 'chat', '{"n":4.0}', 4],
  ])('tells the choices: %s', (_, route, body, choices) => {
    expect(facts(route, body).choices).toBe(choices)
  })

  it('tells the choices of the answer, of which best_of makes none', () => {
    expect(facts('completions', '{"n":2,"best_of":5}')).toMatchObject({ n: 2, choices: 5 })
    expect(facts('chat', '{"n":1,"n_cmpl":9}')).toMatchObject({ n: 9, choices: 9 })
  })

  it.each([
    [
      'those of prompt and prompt_embeds',
      'completions',
      '{"prompt":["a","b"],"prompt_embeds":["c"]}',
      3,
    ],
    ['one text', 'completions', '{"prompt":"a"}', 1],
    ['texts', 'completions', '{"prompt":["a","b","c"]}', 3],
    ['token ids, which are one prompt', 'completions', '{"prompt":[1,2,3]}', 1],
    ['lists of token ids', 'completions', '{"prompt":[[1,2],[3]]}', 2],
    ['inputs of embeddings', 'embeddings', '{"input":["a","b"]}', 2],
    ['documents', 'rerank', '{"query":"q","documents":["a","b",{"text":"c"}]}', 3],
    ['documents inside of an object', 'score', '{"text_1":"a","text_2":{"content":[{},{}]}}', 2],
    ['texts of Cohere', 'embed_v2', '{"texts":["a","b"]}', 2],
    ['conversations of a batch', 'chat_batch', '{"messages":[[{}],[{},{}]]}', 2],
    ['a long conversation, which is one', 'chat', `{"messages":[${'{},'.repeat(3000)}{}]}`, 1],
    [
      'a long input of responses, which is one',
      'responses',
      `{"input":[${'{},'.repeat(3000)}{}]}`,
      1,
    ],
  ])('counts prompts: %s', (_, route, body, prompts) => {
    expect(facts(route, body).prompts).toBe(prompts)
  })

  it.each([
    ['prompts', 'completions', 'prompt', '"a"'],
    ['inputs', 'embeddings', 'input', '[1]'],
    ['documents', 'rerank', 'documents', '{"text":"a"}'],
    ['second texts', 'score', 'text_2', '"a"'],
  ])('refuses more %s than the ceiling, also where numbers are clamped', (_, route, name, item) => {
    const list = (count: number) => `{"${name}":[${Array(count).fill(item).join(',')}]}`
    expect(sent(route, list(2048))).toBe(list(2048))
    expect(sent(route, list(2049))).toBe(`parameter_denied ${name}`)
    expect(sent(route, list(3), { ...OFF, request: { inputs: 2 } })).toBe(
      `parameter_denied ${name}`,
    )
  })
})

describe('readBody: maximum of output tokens', () => {
  const rules = { ...OFF, request: { maxOutputTokens: 100 } }

  it.each([
    ['max_tokens above it', 'chat', '{"max_tokens":101}', '{"max_tokens":100}'],
    ['max_tokens at it', 'chat', '{"max_tokens":100}', '{"max_tokens":100}'],
    [
      'both above it',
      'chat',
      '{"max_tokens":200,"max_completion_tokens":300}',
      '{"max_tokens":100,"max_completion_tokens":100}',
    ],
    [
      'one of two above it',
      'chat',
      '{"max_tokens":1,"max_completion_tokens":300}',
      '{"max_tokens":1,"max_completion_tokens":100}',
    ],
    ['none in an empty body', 'chat', '{}', '{"max_tokens":100}'],
    ['none in an empty body with white space', 'chat', ' { } ', ' {"max_tokens":100 } '],
    ['none', 'chat', ' { "a":1}', ' {"max_tokens":100, "a":1}'],
    ['null', 'completions', '{"max_tokens":null}', '{"max_tokens":100}'],
    [
      'the newer name with null',
      'chat',
      '{"max_completion_tokens":null}',
      '{"max_completion_tokens":100}',
    ],
    ['-1, which asks for all', 'chat', '{"max_tokens":-1}', '{"max_tokens":100}'],
    ['U: a fraction of none at it', 'chat', '{"max_tokens":100.0}', '{"max_tokens":100.0}'],
    ['U: a fraction of none above it', 'chat', '{"max_tokens":101.0}', '{"max_tokens":100}'],
    ['J: 0, which servers take for none', 'chat', '{"max_tokens":0}', '{"max_tokens":100}'],
    [
      'J: 0 under the newer name',
      'chat',
      '{"max_completion_tokens":0}',
      '{"max_completion_tokens":100}',
    ],
    [
      'J: 0 beside one above it',
      'chat',
      '{"max_completion_tokens":0,"max_tokens":500}',
      '{"max_completion_tokens":0,"max_tokens":100}',
    ],
    [
      'J: a name of other servers',
      'completions',
      '{"max_tokens":5,"max_new_tokens":500}',
      '{"max_tokens":5,"max_new_tokens":100}',
    ],
    ['none of responses', 'responses', '{"a":1}', '{"max_output_tokens":100,"a":1}'],
    [
      'another name, which the server ignores',
      'responses',
      '{"max_tokens":5}',
      '{"max_output_tokens":100,"max_tokens":5}',
    ],
    [
      'n_predict, which wins in llama.cpp',
      'completions',
      '{"max_tokens":5,"n_predict":-1}',
      '{"max_tokens":5,"n_predict":100}',
    ],
    ['messages', 'messages', '{"max_tokens":1000}', '{"max_tokens":100}'],
    ['embeddings, which have no output', 'embeddings', '{"input":"a"}', '{"input":"a"}'],
    ['counting, which has none either', 'count_tokens', '{"messages":[]}', '{"messages":[]}'],
  ])('keeps the ceiling: %s', (_, route, body, expected) => {
    expect(sent(route, body, rules)).toBe(expected)
  })

  it('refuses what is above it where the policy says so, and still puts it in', () => {
    const strict = { ...OFF, request: { maxOutputTokens: 100, excess: 'refuse' as const } }
    expect(sent('chat', '{"max_tokens":101}', strict)).toBe('parameter_denied max_tokens')
    expect(sent('chat', '{"max_tokens":-1}', strict)).toBe('parameter_denied max_tokens')
    expect(sent('chat', '{}', strict)).toBe('{"max_tokens":100}')
  })

  it.each([
    ['none', 'chat', '{}', undefined],
    ['null', 'chat', '{"max_tokens":null}', undefined],
    ['the larger of two', 'chat', '{"max_tokens":1,"max_completion_tokens":738}', 738],
    ['-1', 'chat', '{"max_tokens":-1}', undefined],
    ['J: 0', 'chat', '{"max_completion_tokens":0}', undefined],
    ['J: one beside 0', 'chat', '{"max_completion_tokens":0,"max_tokens":7}', 7],
    ['U: 7.0', 'chat', '{"max_tokens":7.0}', 7],
    ['a name that this route ignores', 'chat', '{"max_output_tokens":1}', undefined],
    ['a larger one that only llama.cpp knows', 'chat', '{"max_tokens":1,"n_predict":50}', 50],
    ['responses', 'responses', '{"max_output_tokens":7}', 7],
  ])('tells what the caller named: %s', (_, route, body, tokens) => {
    expect(facts(route, body).maxOutputTokens).toBe(tokens)
  })

  it.each([
    ['puts it in', 'chat', '{"a":1}', [50], '{"max_tokens":50,"a":1}'],
    ['puts it in by the name of the route', 'responses', '{}', [50], '{"max_output_tokens":50}'],
    ['lowers what it put in', 'chat', '{"a":1}', [50, 20], '{"max_tokens":20,"a":1}'],
    [
      'lowers what the caller named',
      'chat',
      '{"max_completion_tokens":70}',
      [50, 20],
      '{"max_completion_tokens":20}',
    ],
    ['never raises', 'chat', '{"max_tokens":10}', [50], '{"max_tokens":10}'],
    ['never raises what it lowered', 'chat', '{"max_tokens":-1}', [50, 80], '{"max_tokens":50}'],
    ['replaces null', 'chat', '{"max_tokens":null}', [50, 20], '{"max_tokens":20}'],
    ['leaves routes without output alone', 'embeddings', '{"a":1}', [50], '{"a":1}'],
  ])('limitOutput %s', (_, route, body, limits, expected) => {
    const bytes = Buffer.from(body)
    const found = facts(route, bytes)
    for (const tokens of limits) limitOutput(routeOf(route), bytes, found, tokens)
    expect(applyEdits(bytes, found.edits).toString()).toBe(expected)
  })

  it('limitOutput adds to the other fields that are put in', () => {
    const bytes = Buffer.from('{"stream":true}')
    const found = facts('chat', bytes, { priority: 3 })
    limitOutput(routeOf('chat'), bytes, found, 9)
    expect(JSON.parse(applyEdits(bytes, found.edits).toString())).toEqual({
      stream_options: { include_usage: true, continuous_usage_stats: true },
      priority: 3,
      max_tokens: 9,
      stream: true,
    })
    expect(found.maxOutputTokens).toBe(9)
  })
})

describe('readBody: guarded parameters', () => {
  it.each([
    ['use_beam_search', 'true', 'use_beam_search'],
    ['background', 'true', 'background'],
    ['store', 'true', 'store'],
    ['previous_response_id', '"resp_1"', 'previous_response_id'],
    ['request_id', '"a"', 'request_id'],
    ['kv_transfer_params', '{}', 'kv_transfer_params'],
    ['ec_transfer_params', '{"a":1}', 'ec_transfer_params'],
    ['vllm_xargs', '{}', 'vllm_xargs'],
    ['encoding_format', '"bytes_only"', 'bytes_only'],
    ['encoding_format', '"bytes\\u005fonly"', 'bytes_only'],
  ] as const)('refuses %s %s unless the policy allows %s', (name, value, guarded) => {
    const body = `{"${name}":${value}}`
    expect(sent('responses', body)).toBe(`parameter_denied ${name}`)
    expect(sent('responses', body, { ...OFF, request: { allow: [guarded] } })).toBe(body)
  })

  it.each([
    '{"store":false,"background":null,"use_beam_search":false}',
    '{"previous_response_id":null,"kv_transfer_params":null}',
    '{"encoding_format":"base64"}',
    '{"metadata":{"store":true,"vllm_xargs":{}}}',
  ])('passes %s', (body) => {
    expect(sent('responses', body)).toBe(body)
  })

  it.each(['1', '"true"', '[]'])('refuses store %s, which some parsers take for true', (value) => {
    expect(sent('responses', `{"store":${value}}`)).toBe('invalid_body store')
  })
})

describe('readBody: what the policy sets', () => {
  it.each([
    ['priority where there is none', { priority: 5 }, '{"a":1}', '{"priority":5,"a":1}'],
    [
      'priority over the own one of the caller',
      { priority: 5 },
      '{"priority":-9}',
      '{"priority":5}',
    ],
    ['0 over the own one of the caller', {}, '{"priority":-9}', '{"priority":0}'],
    ['nothing over null', {}, '{"priority":null}', '{"priority":null}'],
    ['a salt where there is none', { salt: 'abc' }, '{}', '{"cache_salt":"abc"}'],
    [
      'a salt over the own one of the caller',
      { salt: 'abc' },
      '{"cache_salt":"victim"}',
      '{"cache_salt":"abc"}',
    ],
    ['both', { salt: 'abc', priority: 1 }, '{"a":1}', '{"priority":1,"cache_salt":"abc","a":1}'],
    ['no salt where the client has none', {}, '{"cache_salt":"own"}', '{"cache_salt":"own"}'],
  ])('puts %s', (_, rules, body, expected) => {
    expect(sent('chat', body, { ...OFF, ...rules })).toBe(expected)
  })

  it('puts nothing where no model runs, but overwrites there too', () => {
    const rules = { ...OFF, priority: 5, salt: 's' }
    expect(sent('tokenize', '{"prompt":"a"}', rules)).toBe('{"prompt":"a"}')
    expect(sent('count_tokens', '{"priority":1}', rules)).toBe('{"priority":5}')
  })
})

describe('readBody: streams', () => {
  const both = '{"include_usage":true,"continuous_usage_stats":true}'
  const on = '"stream":true,"stream_options"'

  it.each([
    ['absent', 'exact', '{"stream":true}', `{"stream_options":${both},"stream":true}`, 'all'],
    ['null', 'exact', `{${on}:null}`, `{${on}:${both}}`, 'all'],
    [
      'empty',
      'exact',
      `{${on}:{ }}`,
      `{${on}:{"include_usage":true,"continuous_usage_stats":true }}`,
      'all',
    ],
    [
      'with something else in it',
      'exact',
      `{${on}:{ "x": [1]}}`,
      `{${on}:{"include_usage":true,"continuous_usage_stats":true, "x": [1]}}`,
      'all',
    ],
    [
      'with usage',
      'exact',
      `{${on}:{"include_usage":true}}`,
      `{${on}:{"continuous_usage_stats":true,"include_usage":true}}`,
      'running',
    ],
    [
      'with usage off',
      'exact',
      `{${on}:{"include_usage": false}}`,
      `{${on}:{"continuous_usage_stats":true,"include_usage": true}}`,
      'all',
    ],
    ['with both', 'exact', `{${on}:${both}}`, `{${on}:${both}}`, 'nothing'],
    [
      'with running counts off',
      'exact',
      `{${on}:{"include_usage":true,"continuous_usage_stats":false}}`,
      `{${on}:${both}}`,
      'running',
    ],
    [
      'with running counts alone, which do nothing',
      'exact',
      `{${on}:{"continuous_usage_stats":true}}`,
      `{${on}:{"include_usage":true,"continuous_usage_stats":true}}`,
      'all',
    ],
    [
      'absent',
      'final',
      '{"stream":true}',
      '{"stream_options":{"include_usage":true},"stream":true}',
      'all',
    ],
    [
      'with usage',
      'final',
      `{${on}:{"include_usage":true}}`,
      `{${on}:{"include_usage":true}}`,
      'nothing',
    ],
    ['absent', 'off', '{"stream":true}', '{"stream":true}', 'nothing'],
    [
      'with usage',
      'off',
      `{${on}:{"include_usage":true}}`,
      `{${on}:{"include_usage":true}}`,
      'nothing',
    ],
    [
      'with an escaped key',
      'final',
      `{${on}:{"include_us\\u0061ge":false}}`,
      `{${on}:{"include_us\\u0061ge":true}}`,
      'all',
    ],
  ] as const)(
    'asks for usage: stream_options %s, metering %s',
    (_, metering, body, expected, taken) => {
      expect(sent('chat', body, { metering })).toBe(expected)
      const found = facts('chat', body, { metering })
      expect(found).toMatchObject({ isStream: true, taken })
      expect(found.wantsUsage).toBe(body.includes('"include_usage":true'))
    },
  )

  it('meters exactly where the policy says nothing', () => {
    expect(sent('completions', '{"stream":true}', {})).toBe(
      `{"stream_options":${both},"stream":true}`,
    )
  })

  it.each([
    ['no stream', 'chat', '{"messages":[]}'],
    ['stream false', 'chat', '{"stream":false,"stream_options":{"include_usage":true}}'],
    ['a nested stream', 'chat', '{"a":{"stream":true}}'],
    ['embeddings', 'embeddings', '{"stream":true}'],
  ])('puts nothing in where there is no stream: %s', (_, route, body) => {
    expect(facts(route, body, {})).toMatchObject({ isStream: false, taken: 'nothing', edits: [] })
  })

  it.each(['messages', 'responses'])('puts nothing into streams of %s', (route) => {
    expect(facts(route, '{"stream":true}', {})).toMatchObject({ isStream: true, edits: [] })
  })

  it.each([
    ['{"stream":1}', 'stream'],
    ['{"stream":"true"}', 'stream'],
    ['{"stream":true,"stream_options":[]}', 'stream_options'],
    ['{"stream":true,"stream_options":true}', 'stream_options'],
    ['{"stream":true,"stream_options":{"include_usage":1}}', 'include_usage'],
    ['{"stream":true,"stream_options":{"continuous_usage_stats":"a"}}', 'continuous_usage_stats'],
  ])('refuses %s', (body, param) => {
    expect(sent('chat', body, {})).toBe(`invalid_body ${param}`)
  })
})

describe('readBody: the size of the prompt', () => {
  const png = 'iVBORw0KGgo'.repeat(100)

  it.each([
    ['messages', 'chat', '{"messages":[{"a":"b"}]}', '[{"a":"b"}]', 0],
    ['messages and tools', 'chat', '{"tools":[1],"messages":["a"],"user":"yyyy"}', '[1]["a"]', 0],
    ['a prompt', 'completions', '{"prompt":"abc"}', '"abc"', 0],
    ['system and messages', 'messages', '{"system":"s","messages":["m"]}', '"s"["m"]', 0],
    ['a query and documents', 'rerank', '{"query":"q","documents":["d"]}', '"q"["d"]', 0],
    [
      'an image of chat',
      'chat',
      `{"messages":[{"image_url" : {"url":"data:image/png;base64,${png}"}}]}`,
      '[{"image_url" : {"url":"data:image/png;base64,"}}]',
      1,
    ],
    [
      'an image by its address',
      'chat',
      '{"messages":[{"type":"image_url","image_url":{"url":"http://a"}}]}',
      '[{"type":"image_url","image_url":{"url":"http://a"}}]',
      1,
    ],
    [
      'a sound',
      'chat',
      `{"messages":[{"input_audio":{"data": "${png}"}}]}`,
      '[{"input_audio":{"data": ""}}]',
      1,
    ],
    [
      'an image of Anthropic',
      'messages',
      `{"messages":[{"source":{"data":"${png}"}}]}`,
      '[{"source":{"data":""}}]',
      1,
    ],
    [
      'a data URL under the key data, once',
      'chat',
      `{"messages":[{"data":"data:a;base64,${png}"}]}`,
      '[{"data":"data:a;base64,"}]',
      1,
    ],
    [
      'images of Cohere',
      'embed_v2',
      `{"images":["data:a;base64,${png}","data:a;base64,${png}"]}`,
      '["data:a;base64,","data:a;base64,"]',
      2,
    ],
    [
      'a data URL that stands in a text, which is text',
      'chat',
      `{"messages":["look: data:a;base64,${png}"]}`,
      `["look: data:a;base64,${png}"]`,
      0,
    ],
    [
      'pictures by address, and one with its bytes',
      'chat',
      `{"messages":[{"image_url":"https://a"},{"image_url":{"url":"data:a;base64,${png}"}}]}`,
      '[{"image_url":"https://a"},{"image_url":{"url":"data:a;base64,"}}]',
      2,
    ],
    [
      'a data URL without base64',
      'chat',
      '{"messages":[{"url":"data:text/plain,a"},{"b":";base64,x"}]}',
      '[{"url":"data:text/plain,a"},{"b":";base64,x"}]',
      0,
    ],
    [
      'an object under the key data',
      'chat',
      '{"messages":[{"data":{"a":1}}]}',
      '[{"data":{"a":1}}]',
      0,
    ],
    [
      'base64 in tools, which is text there',
      'chat',
      `{"tools":["data:a;base64,${png}"]}`,
      `["data:a;base64,${png}"]`,
      0,
    ],
    [
      'text that speaks of base64',
      'chat',
      '{"messages":["data:a;base64, is how it begins"]}',
      '["data:a;base64, is how it begins"]',
      0,
    ],
    [
      'M: texts under names that it does not know',
      'chat',
      '{"chat_template":"aaaa","chat_template_kwargs":{"b":"c"},"tool_choice":{"d":1},"x":5,"y":null}',
      '"aaaa"{"b":"c"}{"d":1}',
      0,
    ],
    [
      'M: a schema, but not what no template takes',
      'chat',
      '{"response_format":{"a":"b"},"metadata":{"c":"d"},"stop":["e"],"model":"f","user":"g"}',
      '{"a":"b"}',
      0,
    ],
    [
      'M: messages of before',
      'responses',
      '{"input":"a","previous_input_messages":[{"b":"c"}]}',
      '"a"[{"b":"c"}]',
      0,
    ],
    [
      'M: text that is dressed as a data URL, in a prompt',
      'completions',
      `{"prompt":"data:;base64,${png}"}`,
      `"data:;base64,${png}"`,
      0,
    ],
    [
      'M: the same as the content of a message',
      'chat',
      `{"messages":[{"role":"user","content":"data:;base64,${png}"}]}`,
      `[{"role":"user","content":"data:;base64,${png}"}]`,
      0,
    ],
    [
      'M: lines of text under a key of files',
      'chat',
      `{"messages":[{"url":"data:;base64,${png}\\n${png}"}]}`,
      `[{"url":"data:;base64,${png}\\n${png}"}]`,
      0,
    ],
    [
      'the address of a picture of Responses',
      'responses',
      `{"input":[{"type":"input_image","image_url":"data:image/png;base64,${png}"}]}`,
      '[{"type":"input_image","image_url":"data:image/png;base64,"}]',
      1,
    ],
    [
      'a file of Responses',
      'responses',
      `{"input":[{"file_data":"data:application/pdf;base64,${png}"}]}`,
      '[{"file_data":"data:application/pdf;base64,"}]',
      1,
    ],
    [
      'keys inside of text',
      'chat',
      '{"messages":["{\\"image_url\\":1}"]}',
      '["{\\"image_url\\":1}"]',
      0,
    ],
  ])('counts %s', (_, route, body, counted, media) => {
    expect(facts(route, body)).toMatchObject({
      promptBytes: counted.length,
      media,
      promptTokens: 0,
    })
  })

  it.each([
    ['a list', '[1,22, 333]', 3],
    ['lists', '[[1,22],[333]]', 3],
    ['a long list', `[${'10,'.repeat(2e5)}1]`, 200001],
    ['a million', `[${'10,'.repeat(999999)}1]`, 1000000],
    ['more, by the least that an id takes', `[${'1,'.repeat(1200000)}1]`, 1200003],
  ])('counts token ids as they are: %s', (_, prompt, tokens) => {
    expect(facts('completions', `{"prompt":${prompt}}`)).toMatchObject({
      promptTokens: tokens,
      promptBytes: 0,
    })
  })
})

describe('applyEdits', () => {
  it('replaces and inserts by bytes, not by characters', () => {
    const body = Buffer.from('{"é":"😀","b":2}')
    const at = body.indexOf('2')
    const edits = [
      { start: 1, end: 1, text: '"ü":1,' },
      { start: at, end: at + 1, text: '30' },
    ]
    expect(applyEdits(body, edits).toString()).toBe('{"ü":1,"é":"😀","b":30}')
  })

  it('gives the same bytes without edits', () => {
    const body = Buffer.from([123, 255, 0, 125])
    expect(applyEdits(body, []).equals(body)).toBe(true)
  })
})

describe('large bodies', () => {
  const exact = { metering: 'exact' } as const
  const text = 'x "y" \\ {z} [1] '.repeat(1000)
  const messages = JSON.stringify([{ role: 'user', content: text, stream: true, model: 'other' }])

  it.each([
    ['the value is the last', `{"model":"a","stream":true,"messages":${messages}}`],
    ['other keys follow', `{"messages":${messages} , "stream" :true,"model":"a"}`],
    ['the next key stands inside too', `{"messages":${messages},"stream":true,"model":"a"}`],
    [
      'the next key stands inside, behind a list',
      `{"messages":[{"a":["b"],"stream":1,"c":${messages}}],"stream":true,"model":"a"}`,
    ],
    [
      'it stands inside often',
      `{"x":[${'["a"],{"stream":[2]},'.repeat(9)}1],"stream":true,"model":"a","messages":${messages}}`,
    ],
    ['keys are numbers', `{"7":${messages},"3":[${messages}],"stream":true,"model":"a"}`],
    ['the next key is escaped', `{"messages":${messages},"str\\u0065am":true,"model":"a"}`],
    ['a key is __proto__', `{"__proto__":${messages},"stream":true,"model":"a"}`],
  ])('are read where %s', (_, body) => {
    expect(facts('chat', body, exact)).toMatchObject({ model: 'a', isStream: true })
  })

  it.each([
    ['twice the same key', `{"messages":${messages},"messages":${messages}}`, 'same key twice'],
    ['a key twice around it', `{"model":"a","messages":${messages},"model":"b"}`, 'same key twice'],
    ['no JSON behind it', `{"messages":${messages},"model"}`, 'is not JSON'],
    ['two values', `{"messages":${messages}} {}`, 'is not JSON'],
  ])('are refused: %s', (_, body, fault) => {
    const { outcome, message } = refusal('chat', body, exact)
    expect({ outcome, message }).toEqual({
      outcome: 'invalid_body',
      message: expect.stringContaining(fault),
    })
  })
})
