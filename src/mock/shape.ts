import type { StreamPlan } from './answer.ts'
import type { Call } from './call.ts'
import { failureOf } from './failure.ts'

/** The events of one dialect and route, cut where the text of a token goes in. */
export type Shape = {
  /** The chunk that opens a choice; '' where there is none. */
  role(index: number): string
  before(index: number): string
  /** @param count - tokens of this choice so far, this one included */
  after(count: number, index: number): string
  /** As `after`, for the last token of an answer that the limit ends; null where the reason gets its own chunk. */
  afterLast: ((count: number, index: number) => string) | null
  /** The chunk with the reason, after the last token. */
  finish(index: number): string
  closing: string[]
  done: string[]
  failure: string[]
}

/** Lays out a whole stream, with everything but the running counts made beforehand. */
export function streamPlanOf(shape: Shape, call: Call): StreamPlan {
  const choices = Array.from({ length: call.choices }, (_, index) => index)
  const before = choices.map((index) => shape.before(index))
  const plainAfter = choices.map((index) => shape.after(0, index))
  const endsOnLast = shape.afterLast !== null && call.reason === 'length' && call.tokens > 0
  const after = (step: number, choice: number): string | undefined => {
    if (endsOnLast && step === call.events - 1) return shape.afterLast?.(call.tokens, choice)
    return call.isContinuous ? shape.after(call.told(step), choice) : plainAfter[choice]
  }
  const tail = [
    ...(endsOnLast ? [] : choices.map((index) => shape.finish(index))),
    ...shape.closing,
    ...shape.done,
  ]
  return {
    tokens: call.tokens,
    choices: call.choices,
    head: choices.map((index) => shape.role(index)).filter((event) => event !== ''),
    token: (step, choice) => `${before[choice]}${call.piece(step)}${after(step, choice)}`,
    tail,
    // An aborted answer is short, and otherwise whole: reason, usage and [DONE] stand there.
    failure: call.reason === 'abort' ? tail : failureOf(call.settings, shape.failure),
    isAscii: call.isAscii,
  }
}
