import { describe, expect, it } from 'vitest'
import { addChoice, readTimings, readUsage } from '../../../src/core/meter/usage.ts'

describe('readUsage', () => {
  it.each([
    [
      "vLLM's details",
      '{"prompt_tokens":9,"total_tokens":21,"completion_tokens":12,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":5}}',
      { promptTokens: 9, cachedTokens: 4, completionTokens: 12, reasoningTokens: 5 },
    ],
    [
      'null in place of details is unknown, 0 is none',
      '{"prompt_tokens":9,"completion_tokens":0,"prompt_tokens_details":null}',
      { promptTokens: 9, completionTokens: 0 },
    ],
    [
      "SGLang's reasoning beside the others",
      '{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":null,"reasoning_tokens":2}',
      { promptTokens: 9, completionTokens: 3, reasoningTokens: 2 },
    ],
    [
      "Anthropic's input leaves out what was read from the cache or written to it",
      '{"input_tokens":3,"cache_read_input_tokens":4,"cache_creation_input_tokens":2,"output_tokens":1}',
      { promptTokens: 9, cachedTokens: 4, completionTokens: 1 },
    ],
    [
      'the input of responses has its cached part in it',
      '{"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1}}',
      { promptTokens: 9, cachedTokens: 4, completionTokens: 2, reasoningTokens: 1 },
    ],
    [
      'Cohere says it twice',
      '{"billed_units":{"input_tokens":1,"output_tokens":1},"tokens":{"input_tokens":9,"output_tokens":2}}',
      { promptTokens: 9, completionTokens: 2 },
    ],
    ['seconds of audio', '{"type":"duration","seconds":7}', { audioSeconds: 7 }],
    ['numbers that cannot be are unknown', '{"prompt_tokens":-1,"completion_tokens":1e999}', null],
    ['texts are not numbers', '{"prompt_tokens":"9","completion_tokens":"1"}', null],
    ['null', 'null', null],
    ['a list', '[]', null],
    ['a text', '"usage"', null],
  ])('%s', (_, text, usage) => {
    expect(readUsage(JSON.parse(text))).toEqual(usage)
  })
})

describe('readTimings', () => {
  it('the prompt is what was cached and what was not', () => {
    expect(readTimings({ cache_n: 4, prompt_n: 5, predicted_n: 12 })).toEqual({
      promptTokens: 9,
      cachedTokens: 4,
      completionTokens: 12,
    })
  })
  it('builds before caching was told have the prompt alone', () => {
    expect(readTimings({ prompt_n: 5, predicted_n: 12 })).toEqual({
      promptTokens: 5,
      completionTokens: 12,
    })
  })
  it('without timings nothing is known', () => {
    expect(readTimings(undefined)).toBe(null)
  })
})

describe('addChoice', () => {
  it('adds completions and reasoning, and keeps the prompt', () => {
    const one = { promptTokens: 9, cachedTokens: 4, completionTokens: 5, reasoningTokens: 1 }
    const two = { promptTokens: 9, cachedTokens: 4, completionTokens: 7, reasoningTokens: 2 }
    expect(addChoice(one, two, false)).toEqual({
      promptTokens: 9,
      cachedTokens: 4,
      completionTokens: 12,
      reasoningTokens: 3,
    })
  })

  it('G: adds the prompt where it is another one', () => {
    const one = { promptTokens: 9, cachedTokens: 4, completionTokens: 5 }
    const two = { promptTokens: 3, completionTokens: 7 }
    expect(addChoice(one, two, true)).toEqual({
      promptTokens: 12,
      cachedTokens: 4,
      completionTokens: 12,
    })
  })
})
