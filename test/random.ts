/** Chance of a seed, so that a failure can be seen again. */

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** Whole numbers from 0 up to what is asked for, which is not among them. */
export function integersOf(seed: number): (below: number) => number {
  const random = randomOf(seed)
  return (below) => Math.floor(random() * below)
}
