import type { Settings } from './settings.ts'

const texts = {
  ascii: ' hello from a mock that stands in for vLLM and counts one token per word.',
  utf8: ' hello 你好 from a mock — “naïve” tokens 🙂 über 測試.',
}

// Each word with the space before it, as tokenizers have it. None needs escaping in JSON.
const vocabulary = {
  ascii: texts.ascii.match(/ \S+/g) ?? [],
  utf8: texts.utf8.match(/ \S+/g) ?? [],
}

/** The words that an answer repeats in turn: one text, or words of many lengths that a seed draws. */
export function wordsOf({ words, seed }: Settings): string[] {
  if (seed === null) return vocabulary[words]
  const letters = Array.from(texts[words].replace(/\s/g, ''))
  const draw = createDraw(seed)
  // A prime, so that the turn does not fall together with blocks of events.
  return Array.from({ length: 251 }, () => {
    // As of real tokenizers: four letters or five in the mean, often one, now and then twenty.
    const length = 1 + Math.floor(-4 * Math.log(1 - draw()))
    return ` ${Array.from({ length }, () => letters[Math.floor(draw() * letters.length)]).join('')}`
  })
}

/** Numbers from 0 to below 1, the same for the same seed: mulberry32, a public-domain generator. */
function createDraw(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
