/** What somebody typed for a number: a value, nothing, or something that is no number. */
export type Amount = { value: number } | { isEmpty: true } | { isWrong: true }

const UNITS: { [unit: string]: number } = { '': 1, k: 1e3, m: 1e6, g: 1e9, b: 1e9 }

/**
 * Reads a number as people write them: 5000000, 5,000,000, 5_000_000, 5M, 1.5k. `isWhole` refuses what
 * would be a fraction.
 */
export function readAmount(text: string, isWhole: boolean): Amount {
  const plain = text.trim().replace(/[\s_,，]/g, '')
  if (plain === '') return { isEmpty: true }
  const match = /^(\d+(?:\.\d+)?|\.\d+)([kmgb]?)$/i.exec(plain)
  if (!match) return { isWrong: true }
  const factor = UNITS[(match[2] ?? '').toLowerCase()] ?? 1
  const plainValue = Number(match[1])
  // 4.35 times a million is not whole in binary.
  const value = factor === 1 ? plainValue : Number((plainValue * factor).toPrecision(15))
  return isWhole && !Number.isSafeInteger(value) ? { isWrong: true } : { value }
}
