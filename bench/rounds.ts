import { sleep } from '../test/waiting.ts'

/** Before each measurement, so that what the one before left behind is done with. */
const PAUSE_MS = 100

/**
 * Measures each of several things once per round, in an order that begins elsewhere in each round:
 * what the machine does beside hits all of them alike. Returns the results by thing.
 */
export async function interleave<T, R>(
  things: readonly T[],
  rounds: number,
  measure: (thing: T) => Promise<R>,
): Promise<R[][]> {
  const results: R[][] = things.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (let step = 0; step < things.length; step++) {
      const index = (step + round * 3) % things.length
      await sleep(PAUSE_MS)
      results[index]?.push(await measure(things[index] as T))
    }
  }
  return results
}

/** Starts several things, gives them to `use`, and stops all of them whatever happens. */
export async function withAll<T extends { stop(): Promise<void> }, R>(
  starts: readonly (() => Promise<T>)[],
  use: (started: T[]) => Promise<R>,
): Promise<R> {
  const started: T[] = []
  try {
    for (const start of starts) started.push(await start())
    return await use(started)
  } finally {
    for (const thing of started) await thing.stop()
  }
}
