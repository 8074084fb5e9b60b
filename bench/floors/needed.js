// What no gate with these promises can leave out, as plainly as it can be written, and without any of
// the gate's code: a floor to measure, and no gate. It knows one route, vLLM's own events and the
// bench's prices, refuses without a word, and forgets what a worker that dies still holds.
//
// Records and zones are those of the housekeeping. Where a record names no models, bodies pass unread;
// where it has no limits, nothing is counted. The ticket is a list of words: client, key, and where the
// body is read model, 1 for a stream, 1 where counts are taken out, tokens held, id in the counters.
import crypto from 'crypto'

function verdict(r) {
  return admit(r) ? 'ok' : 'invalid_key'
}

function admit(r) {
  const isKnown = r.variables['request'].startsWith('POST /v1/chat/completions ')
  const secret = r.headersIn['Authorization'].slice(7)
  const hash = crypto.createHash('sha256').update(secret).digest('hex')
  const found = ngx.shared['tollgate_clients'].get(hash)
  r.record = isKnown && found ? JSON.parse(found) : null
  return r.record
}

function admission(r) {
  const record = admit(r)
  if (!record) return 'invalid_key'
  r.ticket = [record.client, record.key]
  r.variables['tollgate_client'] = record.client
  return 'ok'
}

function target(r) {
  const record = r.record
  return !record.models || charge(r, record, r.requestText) ? 'ok' : ''
}

function charge(r, record, text) {
  const body = JSON.parse(text)
  if (!record.models.some((model) => isLike(model, body.model))) return false
  const takesOut = body.stream && !body.stream_options
  if (takesOut) r.text = text
  r.ticket.push(body.model, body.stream ? '1' : '0', takesOut ? '1' : '0')
  return !record.limited || reserve(r, record, (text.length >> 2) + body.max_tokens)
}

function isLike(pattern, model) {
  return pattern.endsWith('*') ? model.startsWith(pattern.slice(0, -1)) : model === pattern
}

function reserve(r, record, tokens) {
  const limited = record.limited[0]
  const limits = limited.limits
  const minute = limited.id + Math.floor(Date.now() / 60000)
  const windows = ngx.shared['tollgate_windows']
  const counters = ngx.shared['tollgate_counters']
  const requests = windows.incr(`q${minute}`, 1, 0)
  const used = windows.incr(`t${minute}`, tokens, 0)
  const running = counters.incr(`f${limited.id}`, 1, 0)
  const held = counters.incr(`r${limited.id}`, tokens, 0)
  tell(r, limits, requests, used)
  if (
    requests > limits.requestsPerMinute ||
    used > limits.tokensPerMinute ||
    running > limits.concurrency ||
    held > limited.budgets.tokensPerDay
  ) {
    return false
  }
  r.ticket.push(tokens, limited.id)
  ngx.shared['tollgate_running'].set(r.variables['request_id'], r.ticket.join(' '))
  return true
}

function tell(r, limits, requests, tokens) {
  const reset = `${60 - (Math.floor(Date.now() / 1000) % 60)}s`
  const most = limits.requestsPerMinute
  const mostTokens = limits.tokensPerMinute
  r.variables['tg_told'] =
    `${most} ${most - requests} ${reset} ${mostTokens} ${mostTokens - tokens} ${reset}`
}

function body(r) {
  const text = r.text
  if (!text) return r.requestBuffer || ''
  return `${text.slice(0, -1)},"stream_options":{"include_usage":true,"continuous_usage_stats":true}}`
}

/**
 * An event is sent, and kept where it has counts, which go out of it where nobody asked for them. Those
 * of vLLM open with the last brace, behind `"usage":`; to look for a byte is cheaper than for a text.
 */
function meter(r, data, flags) {
  if (flags.last) r.isWhole = true
  const ticket = r.ticket
  const at = ticket.length > 2 ? data.lastIndexOf(123) : -1
  if (at < 0 || data[at - 3] !== 101) r.sendBuffer(data)
  else if (ticket[4] !== '1') {
    r.usage = data
    r.sendBuffer(data)
  } else takeOut(r, data, at)
}

function takeOut(r, data, at) {
  r.usage = data.subarray(at)
  // `"choices":[],"usage":` is the sum, which nobody asked for either.
  if (data[at - 11] === 91) return
  // A brace and a blank line, from the comma before the count.
  data[at - 9] = 125
  data[at - 8] = 10
  data[at - 7] = 10
  r.sendBuffer(data.subarray(0, at - 6))
}

function settled(r) {
  const ticket = r.ticket
  const line = `"outcome":"${outcomeOf(r)}","client":"${ticket[0]}","key":"${ticket[1]}","route":"chat"`
  return ticket.length > 2 ? line + settle(r, ticket, r.variables['msec'] * 1000) : line
}

function outcomeOf(r) {
  if (r.variables['request_completion'] !== 'OK') return 'client_aborted'
  return r.isWhole ? 'ok' : 'upstream_aborted'
}

function settle(r, ticket, endMs) {
  const text = r.usage ? r.usage.toString() : '{}'
  const from = text.lastIndexOf('{')
  const usage = JSON.parse(text.slice(from, text.indexOf('}', from) + 1))
  const prompt = usage.prompt_tokens || 0
  const completion = usage.completion_tokens || 0
  if (ticket.length > 5) release(r, ticket, prompt + completion, endMs)
  const stream = ticket[3] === '1' ? ',"stream":true' : ''
  const cost = (prompt * 0.15 + completion * 0.6) / 1e6
  return `,"model":${JSON.stringify(ticket[2])}${stream},"promptTokens":${prompt},"completionTokens":${completion},"cost":${cost}`
}

function release(r, ticket, used, endMs) {
  const held = Number(ticket[5])
  const id = ticket[6]
  const counters = ngx.shared['tollgate_counters']
  ngx.shared['tollgate_windows'].incr(`t${id}${Math.floor(endMs / 60000)}`, used - held, 0)
  counters.incr(`f${id}`, -1, 0)
  counters.incr(`r${id}`, -held, 0)
  counters.incr(`d${id}${Math.floor(endMs / 86400000)}`, used, 0)
  ngx.shared['tollgate_running'].delete(r.variables['request_id'])
}

export default { verdict, admission, target, body, meter, settled }
