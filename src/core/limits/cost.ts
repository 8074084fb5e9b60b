import type { Price } from '../config/shapes.ts'
import type { Usage } from '../meter/usage.ts'

/**
 * Cost is kept in whole nano-units, a billionth of the unit in which prices are written: sums of them
 * are exact up to 9 million units, sums of fractions are not. One prompt token at 0.15 a million is 150.
 */
export const NANOS = 1e9

const MILLION = 1e6

/** The cost of what was used, in nano-units. What is unknown costs nothing. */
export function costOf(usage: Usage, price: Price): number {
  const prompt = usage.promptTokens || 0
  const cached = Math.min(usage.cachedTokens || 0, prompt)
  const cachedPrice = price.cachedInput === undefined ? price.input : price.cachedInput
  const tokens =
    (prompt - cached) * price.input +
    cached * cachedPrice +
    (usage.completionTokens || 0) * price.output
  const seconds = (usage.audioSeconds || 0) * (price.audioSecond || 0)
  return Math.round((tokens / MILLION + seconds) * NANOS)
}

/** The same by the price of a model, see priceOf(); undefined where it has none, and where nothing is known. */
export function costIn(
  served: string,
  asked: string,
  usage: Usage,
  prices: { [pattern: string]: Price },
): number | undefined {
  if (usage.completionTokens === undefined && usage.promptTokens === undefined) {
    if (usage.audioSeconds === undefined) return undefined
  }
  const price = priceOf(served, asked, prices)
  return price ? costOf(usage, price) : undefined
}

/** The cost of a prompt of which nothing was cached, and of an answer, in nano-units. */
export function costOfTokens(prompt: number, completion: number, price: Price): number {
  return Math.round(((prompt * price.input + completion * price.output) / MILLION) * NANOS)
}

/**
 * The price of an answer: that of the model which the server says it `served`, else that of the one which was
 * `asked`, else that of `*`; null where there is none. So a server that takes any name and answers under its
 * own does not let its callers choose what they pay. Both are empty where they are not known.
 */
export function priceOf(
  served: string,
  asked: string,
  prices: { [pattern: string]: Price },
): Price | null {
  let best = served === '' ? '' : longestFor(served, prices)
  if ((best === '' || best === '*') && asked !== served) best = longestFor(asked, prices)
  if (best === '' && served === '') best = longestFor('', prices)
  return best === '' ? null : (prices[best] as Price)
}

/** What was asked last: a request asks at both of its ends. Nobody changes prices, they come anew as a whole. */
let lastPrices: { [pattern: string]: Price } | null = null
let lastModel = ''
let lastBest = ''

/** The longest name or pattern that fits a model; empty when none does. */
function longestFor(model: string, prices: { [pattern: string]: Price }): string {
  if (prices === lastPrices && model === lastModel) return lastBest
  const patterns = Object.keys(prices)
  let best = ''
  for (let i = 0; i < patterns.length; i++) {
    const pattern = patterns[i] as string
    if (pattern.length > best.length && matchesPattern(pattern, model)) best = pattern
  }
  lastPrices = prices
  lastModel = model
  lastBest = best
  return best
}

/** Whether a name fits a pattern, in which `*` stands for any characters, also none. */
export function matchesPattern(pattern: string, name: string): boolean {
  const star = pattern.indexOf('*')
  if (star < 0) return pattern === name
  if (star === pattern.length - 1) return name.startsWith(pattern.slice(0, star))
  const parts = pattern.split('*')
  const first = parts[0] as string
  const last = parts[parts.length - 1] as string
  if (name.length < first.length + last.length) return false
  if (!name.startsWith(first) || !name.endsWith(last)) return false
  let at = first.length
  const end = name.length - last.length
  for (let i = 1; i < parts.length - 1; i++) {
    const part = parts[i] as string
    const found = name.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
