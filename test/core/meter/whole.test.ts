import { describe, expect, test } from 'vitest'
import { feedWhole, finishWhole, startWhole } from '../../../src/core/meter/meter.ts'
import { readEnds } from '../../../src/core/meter/whole.ts'
import { integersOf } from '../../random.ts'

/** The whole way: a route whose answers are always parsed. */
function readWhole(text: string) {
  const whole = startWhole('score')
  feedWhole(whole, Buffer.from(text))
  return finishWhole(whole)
}

const TEXTS = [
  'short',
  'a "quoted" word',
  '"usage":{"prompt_tokens":999}',
  ',"model":"other"',
  '}],"usage":{',
  '},"finish_reason":"length"}',
  '臺北 { [ ] }',
  'back\\slash',
  '',
]

/** An answer as vLLM writes it, with what may be in it and what may not. */
function answerOf(pick: (below: number) => number, odds: number): object {
  const textOf = () => TEXTS[pick(TEXTS.length)]
  const isOdd = () => pick(odds) === 0
  const choices = Array.from({ length: 1 + pick(3) }, (_, index) => ({
    index,
    message: {
      role: 'assistant',
      content: textOf(),
      tool_calls: pick(3) ? [] : [{ function: { arguments: '{"usage":{"prompt_tokens":7}}' } }],
    },
    logprobs: pick(4) ? null : { content: [{ token: textOf() }] },
    ...(isOdd()
      ? {}
      : { finish_reason: ['stop', 'length', textOf(), null][isOdd() ? 2 + pick(2) : pick(2)] }),
    stop_reason: pick(4) ? null : textOf(),
    ...(isOdd() ? { more: { finish_reason: 'inner' } } : {}),
    ...(isOdd() ? { usage: { prompt_tokens: 999 } } : {}),
  }))
  return {
    id: 'chatcmpl-0123',
    object: 'chat.completion',
    created: 1764000000,
    ...(isOdd() ? {} : { model: isOdd() ? textOf() : 'Qwen/Qwen3-8B' }),
    choices,
    ...(isOdd() ? { model: 'late' } : {}),
    system_fingerprint: pick(3) ? null : textOf(),
    ...(isOdd() ? { list: [textOf(), [1, {}]] } : {}),
    ...(isOdd() ? {} : { usage: usageOf(pick, isOdd) }),
    prompt_logprobs: isOdd() ? [{ usage: { prompt_tokens: 5 } }] : null,
    kv_transfer_params: isOdd() ? { usage: { prompt_tokens: 6 } } : null,
    ...(isOdd() ? { timings: { prompt_n: 5, predicted_n: 6 } } : {}),
    note: isOdd() ? textOf() : null,
  }
}

function usageOf(pick: (below: number) => number, isOdd: () => boolean): unknown {
  if (isOdd()) return [null, 'x', [], {}][pick(4)]
  // As vLLM writes it where there is nothing more to tell, or nearly so.
  if (pick(2)) {
    const [prompt, completion] = [pick(2000), pick(2000) * (isOdd() ? -1 : 1)]
    return {
      prompt_tokens: prompt,
      total_tokens: prompt + completion + (isOdd() ? 1 : 0),
      completion_tokens: isOdd() ? completion / 7 : completion,
      ...(pick(2) ? { prompt_tokens_details: null } : {}),
      ...(pick(2) ? { completion_tokens_details: isOdd() ? 3 : null } : {}),
      ...(isOdd() ? { reasoning_tokens: 5 } : {}),
    }
  }
  return {
    prompt_tokens: isOdd() ? -1 : pick(1000),
    total_tokens: 7,
    completion_tokens: isOdd() ? '5' : pick(1000),
    prompt_tokens_details: pick(2) ? null : { cached_tokens: pick(9) },
    completion_tokens_details: pick(2) ? null : { reasoning_tokens: pick(9) },
    ...(isOdd() ? { more: textOfUsage } : {}),
  }
}

const textOfUsage = '} "usage":{'

describe('what an answer says at its ends', () => {
  test.each([
    ['usual answers', 1e9, 0.7],
    ['odd ones', 6, 0],
    ['odd ones, here and there', 40, 0.3],
  ])('is what all of it says: %s', (_, odds, least) => {
    const seed = Number(process.env['TOLLGATE_SEED'] ?? Date.now() % 100_000)
    const pick = integersOf(seed)
    let read = 0
    for (let turn = 0; turn < 3000; turn++) {
      const text = JSON.stringify(answerOf(pick, odds))
      const ends = readEnds('chat', Buffer.from(text))
      if (!ends) continue
      read++
      expect(ends, `seed ${seed}: ${text}`).toEqual(readWhole(text))
    }
    expect(read / 3000).toBeGreaterThanOrEqual(least)
  })

  test('is read of embeddings too, which have no choices', () => {
    const text =
      '{"id":"embd-1","object":"list","created":1,"model":"e5","data":[{"index":0,"embedding":[0.1,-2e-3]}],' +
      '"usage":{"prompt_tokens":9,"total_tokens":9,"completion_tokens":0,"prompt_tokens_details":null}}'
    expect(readEnds('embeddings', Buffer.from(text))).toEqual(readWhole(text))
    expect(readEnds('embeddings', Buffer.from(text))?.usage).toMatchObject({ promptTokens: 9 })
  })

  test.each([
    ['that breaks off', (text: string) => text.slice(0, -1)],
    ['that has a space in it', (text: string) => text.replace('"usage":{', '"usage": {')],
    ['that is followed by a line end', (text: string) => `${text}\n`],
    ['that ends in a list', (text: string) => `[${text}]`],
    ['that is empty', () => ''],
  ])('is not read of one %s', (_, change) => {
    const text = JSON.stringify(answerOf(integersOf(1), 1e9))
    expect(readEnds('chat', Buffer.from(text))).not.toBeNull()
    expect(readEnds('chat', Buffer.from(change(text)))).toBeNull()
  })

  test.each(['messages', 'responses', 'cohere_chat', 'transcriptions'])(
    'is not read of %s',
    (route) => {
      const text = JSON.stringify(answerOf(integersOf(1), 1e9))
      expect(readEnds(route, Buffer.from(text))).toBeNull()
    },
  )
})
