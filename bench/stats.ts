/** One figure over all rounds. */
export type Figure = { median: number; min: number; max: number }

/** The value below which a part of the sorted values lies. */
export function quantile(sorted: ArrayLike<number>, part: number): number {
  const index = Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)
  return sorted[Math.max(0, index)] ?? Number.NaN
}

/** The middle value; between the two middle ones of an even number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  if (sorted.length % 2 === 1) return sorted[Math.floor(middle)] ?? Number.NaN
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/** Median and spread of one value per round. */
export function figureOf(rounds: readonly number[]): Figure {
  return { median: median(rounds), min: Math.min(...rounds), max: Math.max(...rounds) }
}

/** The median of the ratios of each round, so that what slows a whole round down cancels out. */
export function ratioOf(rounds: readonly number[], base: readonly number[]): number {
  return median(rounds.map((value, round) => value / (base[round] ?? Number.NaN)))
}

/** The median of the differences of each round. */
export function differenceOf(rounds: readonly number[], base: readonly number[]): number {
  return median(rounds.map((value, round) => value - (base[round] ?? Number.NaN)))
}
