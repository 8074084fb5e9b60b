import { numberAt } from './events.ts'
import { finishMeter, lastEvent, parse } from './total.ts'
import type { Meter } from './types.ts'
import { type Fields, fieldsOf } from './usage.ts'

/** Why the gate ends a stream that runs. */
export type Cut = 'revoked' | 'budget' | 'operator'

/**
 * Whether the stream can be ended here: not in the middle of an event that the caller has the
 * beginning of, and not behind its own end.
 */
export function canCut(meter: Meter): boolean {
  const isWhole = meter.takesOut || meter.open.length === 0
  return isWhole && !meter.isPassing && !meter.isDone
}

/**
 * The events that end a running stream properly, in place of the rest of it: an error that the SDKs
 * raise when the key was revoked or an operator ends it, and a stream that ends by its limit when the budget is spent.
 */
export function endStream(meter: Meter, why: Cut): Buffer {
  const route = meter.plan.route
  const waiting = meter.waiting ? meter.waiting.toString() : ''
  meter.waiting = null
  if (route === 'messages') {
    return Buffer.from(why === 'budget' ? endMessage(meter) : failMessage(why))
  }
  if (route === 'responses') {
    return Buffer.from((why === 'budget' && endResponse(meter)) || failResponse(meter, why))
  }
  const end = why === 'budget' ? endChunks(meter) : failChunks(why)
  return Buffer.from(waiting + end + 'data: [DONE]\n\n')
}

function messageOf(why: Cut): string {
  return why === 'revoked'
    ? 'This API key has been revoked or has expired'
    : 'Ended by the operator'
}

function codeOf(why: Cut): string {
  return why === 'revoked' ? 'revoked_key' : 'ended_by_operator'
}

function failChunks(why: Cut): string {
  const error = {
    message: messageOf(why),
    type: why === 'revoked' ? 'invalid_request_error' : 'server_error',
    param: null,
    code: codeOf(why),
  }
  return event('', { error })
}

/** A finish chunk for every choice that has none, with the stream's own names, then usage if asked for. */
function endChunks(meter: Meter): string {
  const last = objectIn(meter.last)
  if (!last) return ''
  const isChat = last['object'] !== 'text_completion'
  const chunk = (choices: unknown[], usage: Fields | undefined): string =>
    event('', {
      id: last['id'],
      object: last['object'],
      created: last['created'],
      model: last['model'],
      choices,
      usage,
    })
  let text = ''
  for (let index = 0; index < meter.plan.choices; index++) {
    if (meter.finished[index]) continue
    const content = isChat ? { index, delta: {} } : { index, text: '' }
    text += chunk([Object.assign(content, { logprobs: null, finish_reason: 'length' })], undefined)
  }
  const usage = meter.plan.wantsUsage && countsOf(meter, 'prompt_tokens', 'completion_tokens')
  return usage ? text + chunk([], usage) : text
}

function failMessage(why: Cut): string {
  const type = why === 'revoked' ? 'authentication_error' : 'api_error'
  return event('error', { type: 'error', error: { type, message: messageOf(why) } })
}

function endMessage(meter: Meter): string {
  const block = objectIn(meter.last)
  const stop = { type: 'content_block_stop', index: block && block['index'] }
  const usage = finishMeter(meter).usage || {}
  return (
    (block ? event('content_block_stop', stop) : '') +
    event('message_delta', {
      type: 'message_delta',
      delta: { stop_reason: 'max_tokens', stop_sequence: null },
      usage: { output_tokens: usage.completionTokens || 0 },
    }) +
    event('message_stop', { type: 'message_stop' })
  )
}

function failResponse(meter: Meter, why: Cut): string {
  const sequence_number = nextNumber(meter)
  const type = 'error'
  const message = messageOf(why)
  return event(type, { type, code: codeOf(why), message, param: null, sequence_number })
}

/** Nothing when the stream has not said yet which response it is. */
function endResponse(meter: Meter): string {
  const created = objectIn(meter.first)
  if (!created) return ''
  const type = 'response.incomplete'
  const response = Object.assign(fieldsOf(created['response']), {
    status: 'incomplete',
    incomplete_details: { reason: 'max_output_tokens' },
    usage: countsOf(meter, 'input_tokens', 'output_tokens'),
  })
  return event(type, { type, response, sequence_number: nextNumber(meter) })
}

function nextNumber(meter: Meter): number {
  return meter.last ? numberAt(meter.last, '"sequence_number":', 0) + 1 : 0
}

/** Usage so far under a dialect's names; null where the prompt is unknown. */
function countsOf(meter: Meter, promptName: string, completionName: string): Fields | null {
  const usage = finishMeter(meter).usage
  if (!usage || usage.promptTokens === undefined) return null
  const completion = usage.completionTokens || 0
  const counts: Fields = {}
  counts[promptName] = usage.promptTokens
  counts[completionName] = completion
  counts['total_tokens'] = usage.promptTokens + completion
  return counts
}

function objectIn(piece: Buffer | null): Fields | null {
  const said = piece ? lastEvent(piece).toString() : ''
  const parsed = parse(said.slice(said.indexOf('{')))
  return parsed ? fieldsOf(parsed) : null
}

function event(name: string, data: Fields): string {
  return (name && 'event: ' + name + '\n') + 'data: ' + JSON.stringify(data) + '\n\n'
}
