import type { Dialect } from '../../../src/core/admit/route.ts'
import type { Figures } from '../../../src/core/limits/refusal.ts'
import { formatTime } from '../../../src/core/time.ts'

/**
 * What nginx is to make of tellLimits(): what the headers say of the tightest limit of each kind, by the variables that answer.conf makes headers
 * of: OpenAI's on every answer, Anthropic's as well on its routes (sdk-contract.md, Limit headers). A
 * window is told as reset when all that is in it now has slid away; a budget stands in for tokens where
 * no rate limits them.
 */
export function limitVariables(
  figures: Figures,
  dialect: Dialect,
  nowMs: number,
): { [variable: string]: string } {
  const values: { [variable: string]: string } = {}
  const add = (name: string, kind: string) => {
    const figure = figures[kind]
    if (!figure) return
    const limit = `${figure.limit}`
    const left = `${figure.left}`
    if (kind !== 'i' && kind !== 'o') {
      values[`tg_${name}_limit`] = limit
      values[`tg_${name}_left`] = left
      values[`tg_${name}_reset`] = durationOf(figure.resetMs - nowMs)
    }
    if (dialect !== 'anthropic') return
    values[`tg_a_${name}_limit`] = limit
    values[`tg_a_${name}_left`] = left
    values[`tg_a_${name}_reset`] = formatTime(figure.resetMs, figure.zoneMinutes)
  }
  add('req', 'q')
  add('tok', figures['t'] ? 't' : 'r')
  add('in', 'i')
  add('out', 'o')
  return values
}

/** `1s`, `6m0s`, `5h0m30s`. */
function durationOf(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000))
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const end = `${seconds % 60}s`
  return hours ? `${hours}h${minutes % 60}m${end}` : minutes ? `${minutes}m${end}` : end
}
