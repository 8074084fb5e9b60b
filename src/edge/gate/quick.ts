import { type Route, routeOf } from '../../core/admit/route.ts'
import { type BodyFacts, type BodyRefusal, isAsked, readBody } from '../../core/body/body.ts'
import {
  asked,
  changeQuickly,
  choices,
  isChanged,
  isStream,
  maxOutputTokens,
  model,
  promptBytes,
  prompts,
  QUICK_BYTES_MAX,
  quickFacts,
  readQuickly,
  takeFacts,
} from '../../core/body/quick.ts'
import { ROUTES_ENTRY, type Rules, routeAccess } from '../../core/config/record.ts'
import { quoteModel } from '../../core/ledger/line.ts'
import { bodyRulesOf } from '../../core/limits/claim.ts'
import { costOfTokens, NANOS, priceOf } from '../../core/limits/cost.ts'
import {
  estimateInput,
  modelBucket,
  OUTPUT_TOKENS_DEFAULT,
  usualOutput,
} from '../../core/limits/estimate.ts'
import {
  endUpload,
  giveBack,
  giveBackRest,
  heldAmounts,
  heldNow,
  isCounted,
  isPaced,
  isPriced,
  reservedTokens,
  settleTaken,
  takeFirst,
  takenSoFar,
  takeRest,
  tellTaken,
  unread,
} from '../../core/limits/quick.ts'
import { isAtEnd } from '../../core/meter/usual.ts'
import {
  completionTokens,
  promptTokens,
  readUsual,
  reason,
  served,
} from '../../core/meter/whole.ts'
import { runningLine, runningName, waitingText } from '../../core/running.ts'
import { bodyLong } from './body.ts'
import { admitLong, COPIED_BYTES_MAX, claimLong, judgeLong } from './door.ts'
import { settleEnding } from './ending.ts'
import {
  endFlow,
  firstMs,
  flow,
  flowing,
  flowOut,
  goOn,
  isMarked,
  isShowDue,
  LOOK,
  lastMs,
  OTHER,
  SHOW,
  startFlow,
  usedSoFar,
} from './flow.ts'
import { endingOf, type Found, handOver } from './handover.ts'
import { settledLong } from './line.ts'
import { lookLong, meterLong, takeBack } from './meter.ts'
import {
  beginOf,
  clients,
  hashOf,
  type KeptRecord,
  openFirst,
  openZones,
  readEpoch,
  readPrices,
  readRules,
  recordOf,
  running,
  whoOf,
  worker,
  workerOf,
  zones,
} from './registry.ts'
import type { Ending, GateRequest } from './request.ts'
import { showRunning } from './running.ts'
import { tellUnsettled } from './settle.ts'
import { SMALL_BYTES_MAX } from './ticket.ts'

/*
 * The quick way of a request, from its line to its end: a good key, nothing odd about it, a small body, limits that
 * have room, a whole answer as vLLM writes it. At each place it does what the long way does there (door.ts,
 * meter.ts, line.ts), and where anything is not usual it hands over to that, with all that it has found.
 *
 * What it has found stands here, and not on `r`: a context of njs has one request until that has ended, which `exit`
 * tells in all cases, and an error page is in another context. Objects would take more than the work.
 */

/** The request that goes the quick way, and its variables, which QuickJS makes an object of at each call. */
let owner: GateRequest | null = null
let variables: GateRequest['variables']
let route = ''
/** Of the body, as it was announced. */
let bytes = 0
let hash = ''
let recordText = ''
let record: KeptRecord
/** Until when that is usual, as it says. */
let until: number | undefined
let rules: Rules
/** When it was admitted, ms since 1970; 0: its body is not there yet. */
let atMs = 0
let spentMs = 0
/** Whether there are limits, budgets or ceilings; whether there is a maxInFlight; and whether anything is held. */
let hasLimits = false
let hasPlaces = false
let hasHold = false
/** The name of the server behind, where maxInFlight asks for it. */
let upstream = ''
/** Of the averages of the model, see core/limits/estimate.ts. */
let bucket = ''
/** The model as JSON. */
let quoted = ''
/** Its body was read, see core/body/quick.ts; else that passes unread. */
let isRead = false
/** What readBody() said of it, where that was asked: nobody reads a body twice. */
let odd: BodyFacts | BodyRefusal | null = null
/** Its name among those that run; empty while it is not among them. */
let name = ''
let isMetered = false
/** The first piece of the answer. */
let answer: Buffer | null = null
let sawLast = false

/** What is larger goes the long way: what that takes more is little beside the reading. */
const BODY_BYTES_MAX = 131072

/** Of a request that has left the quick way. */
let ending: Ending | null = null

/**
 * `$tollgate_verdict`, for the `if` of a site that passes requests itself: `ok`, or the outcome that refuses. It
 * takes from no limit. Test it for `ok` alone: nginx makes the variable of a broken handler an empty string and
 * goes on.
 */
export function verdict(r: GateRequest): string {
  return judgeLong(r)
}

/**
 * `$tg_admission`, in the `if` of gate.conf and nowhere else: `ok`, or the outcome that refuses, by the line, the
 * headers and what limits know before the body.
 */
export function admission(r: GateRequest): string {
  // There is no answer yet. In a log it would judge what nginx has refused.
  if (r.status) return ''
  return admitQuickly(r) ? 'ok' : admitLong(r)
}

function admitQuickly(r: GateRequest): boolean {
  owner = null
  const startMs = Date.now()
  variables = r.variables
  const called = variables['tollgate_route']
  if (called !== 'chat' && called !== 'completions' && called !== 'embeddings') return false
  // Without a call, which takes as much as a field.
  const length = +(variables['content_length'] as string)
  if (!(length > 0 && length <= BODY_BYTES_MAX)) return false
  const secret = variables['tg_secret']
  if (secret === undefined || secret === '') return false
  // The long way opens one of them alone.
  if (!clients || !running) openFirst()
  const zone = clients as NonNullable<typeof clients>
  const routes = zone.get(ROUTES_ENTRY)
  if (routes !== ';' && (routes === undefined || routeAccess(routes, called) !== null)) return false
  hash = hashOf(secret)
  const text = zone.get(hash)
  if (text === undefined) return false
  const found = recordOf(hash, text)
  // A field that is not there takes more than one that is.
  until = found.usual
  if (until === undefined || (until !== 0 && until <= startMs)) return false
  if (called === 'embeddings' && found.scopes !== undefined) return false
  rules = readRules()
  const uploadBytes = length > SMALL_BYTES_MAX ? length : 0
  hasPlaces = rules.maxInFlight !== undefined
  hasLimits = found.limited !== undefined || found.request !== undefined
  hasHold = hasLimits || hasPlaces || uploadBytes > 0
  if (hasHold) {
    upstream = hasPlaces ? variables['tollgate_upstream'] || '' : ''
    const open = zones || openZones()
    if (!takeFirst(open, found, rules, upstream, uploadBytes, startMs)) return false
  }
  route = called
  bytes = length
  record = found
  recordText = text
  atMs = 0
  answer = ending = odd = null
  isRead = false
  name = ''
  sawLast = false
  spentMs = 0
  if (hasHold) {
    const names = heldNow()
    const who = (found.who || whoOf(found)) + called
    if (names !== '' && !enter(r, waitingText(who, names))) return giveBack(openZones())
  }
  owner = r
  njs.on('exit', leave)
  variables['tollgate_client'] = found.client
  variables['tollgate_key'] = found.key
  spentMs = Date.now() - startMs
  return true
}

/**
 * `$tg_target`, in the proxy_pass of gate.conf, when `mirror` has had the body read: `ok` to the server
 * behind, with the body as it came; `made` with the one of body(); `refused` to the server that tells why. Anything
 * else, so an empty one too, is nginx's 500: no admission, no target.
 */
export function target(r: GateRequest): string {
  if (owner !== r) return claimLong(r)
  if (atMs !== 0) return ''
  const nowMs = Date.now()
  atMs = nowMs
  const isClaimed = claimQuickly(r, nowMs)
  spentMs += Date.now() - nowMs
  if (!isClaimed || !show(r, ' ')) {
    atMs = 0
    isRead = false
    // What it had before its body it keeps: others may wait for it.
    if (hasHold) giveBackRest(openZones())
    giveUp(r)
    return claimLong(r)
  }
  return (isRead && isChanged()) || bytes > COPIED_BYTES_MAX ? 'made' : 'ok'
}

/** The second half of admission: body, limits, budgets. False: the long way has to judge it. */
function claimQuickly(r: GateRequest, nowMs: number): boolean {
  // The body may have taken long.
  if ((clients as NonNullable<typeof clients>).get(hash) !== recordText) return false
  if (until !== 0 && (until as number) <= nowMs) return false
  // From a file nginx would not pass it on, and njs before 0.8.10 throws for it, see gate.conf.
  if (variables['request_body_file']) return false
  // Of a small one the text takes less.
  const text = bytes <= QUICK_BYTES_MAX ? r.requestText : undefined
  if (!text && !r.requestBuffer) return false
  if (unread > 0) endUpload(zones || openZones())
  hasHold = hasLimits || hasPlaces
  const metering = rules.metering
  isMetered = metering !== 'off'
  const ceilings = record.request
  if (!hasLimits && !record.models && !isAsked(metering)) return true
  isRead = !!text && readQuickly(route, text, bytes, r, metering, record.models, ceilings)
  if (!isRead) isRead = readOddly(r)
  if (!isRead) return false
  if (!hasHold) return true
  const open = zones || openZones()
  const counters = open.counters
  bucket = modelBucket(model)
  const input = estimateInput(counters, bucket, promptBytes, 0)
  if (ceilings && ceilings.maxInputTokens !== undefined) {
    if (input > ceilings.maxInputTokens) return false
    isMetered = true
  }
  if (isCounted()) isMetered = true
  const unnamed = rules.defaultOutputTokens || OUTPUT_TOKENS_DEFAULT
  let output = 0
  let usual = 0
  if (route !== 'embeddings') {
    const answers = choices * prompts
    output = (maxOutputTokens || unnamed) * answers
    // What the model usually gives.
    if (isPaced()) usual = (usualOutput(counters, bucket) || unnamed) * answers
  }
  const price = isPriced() ? priceOf('', model, readPrices()) : null
  if (!price && isPriced()) return false
  if (!takeRest(open, input, output, usual, price, nowMs)) return false
  const told = tellTaken(nowMs)
  if (told !== '') variables['tg_told'] = told
  return true
}

/** Reads a body that is not usual, with tools say, as the long way does. False: that has to refuse it, or to weigh it. */
function readOddly(r: GateRequest): boolean {
  const sent = r.requestBuffer as Buffer
  odd = readBody(routeOf(route) as Route, sent, bodyRulesOf(rules, record))
  return !('outcome' in odd) && takeFacts(odd)
}

/**
 * Shows that it runs, what it holds by name, and how many tokens it has, of prompt and answer. False: the zone is full, which matters
 * to who holds anything alone.
 */
function show(r: GateRequest, counts: string): boolean {
  const names = hasHold ? heldNow() : ''
  const who = (record.who || whoOf(record)) + route
  const held = hasHold ? heldAmounts() : '  '
  let text =
    runningLine(r.remoteAddress, counts, atMs, who, isRead && isStream, held) + spentMs + ' '
  quoted = isRead ? quoteModel(model) : ''
  // As runningEnd() writes it, without a call.
  text += names === '' ? quoted : '[' + (quoted || 'null') + ',null,null,"' + names + '"]'
  return enter(r, text) || names === ''
}

function enter(r: GateRequest, text: string): boolean {
  if (name === '') name = runningName(worker || workerOf(r), variables['request_id'] || '')
  try {
    ;(running as NonNullable<typeof running>).set(name, text)
    return true
  } catch (_) {
    // The entry from before the body still stands, and goes at the end.
    return false
  }
}

/**
 * `$tg_made`, of a request whose target is `made`: the body with the gate's changes, or a large one as it came, of which
 * nginx's own $request_body behind a map would be one copy more.
 */
export function body(r: GateRequest): Buffer | string {
  if (owner !== r) return bodyLong(r)
  const sent = r.requestBuffer
  return sent ? (isRead && isChanged() ? changeQuickly(sent) : sent) : ''
}

/**
 * js_body_filter with buffer_type=buffer. Sends first and reads afterwards, unless something may have
 * to be taken out. It must not throw before the answer is at its end: nginx would cut it.
 */
export function meter(r: GateRequest, data: Buffer, flags: { last: boolean }): void {
  if (flowing === r) {
    if (flags.last) {
      if (flowOut(r, data)) {
        if (owner === r) sawLast = true
        else r.sawLast = true
        return
      }
    } else {
      const found = flow(r, data)
      if (found === LOOK && !isStill(r)) {
        if (owner === r) giveUp(r)
        lookLong(r, data)
      } else if (found === SHOW || (found === LOOK && isShowDue())) showFlow(r)
      if (found !== OTHER) return
    }
    if (owner === r) giveUp(r)
    takeBack(r)
  } else if (owner === r) {
    const first = data[0]
    const status = first === undefined ? 0 : r.status
    // An answer in one piece, which is an object of JSON, of a server that works.
    if (first === undefined || (answer === null && first === 123 && status < 500)) {
      if (first !== undefined) {
        answer = data
        if (status >= 300) isMetered = false
      }
      if (flags.last) sawLast = true
      r.sendBuffer(data)
      return
    }
    // `data:`, of a stream.
    if (first === 100 && answer === null && status < 300 && !flags.last && mayFlow(r)) {
      startFlow(r, isMetered, until === 0 ? Infinity : (until as number))
      meter(r, data, flags)
      return
    }
    giveUp(r)
  }
  meterLong(r, data, flags)
}

/** Whether an answer may be a stream as flow() has it. */
function mayFlow(r: GateRequest): boolean {
  if (isMetered && !(isRead && isStream && choices * prompts === 1 && asked !== '')) return false
  return `${r.headersOut['Content-Type']}`.startsWith('text/event-stream')
}

/** Whether a stream may go on, where something has changed: its key stands as it did, and nobody wants it to end. */
function isStill(r: GateRequest): boolean {
  const now = readEpoch()
  if (owner !== r || isMarked(r)) return false
  return (clients as NonNullable<typeof clients>).get(hash) === recordText && goOn(now)
}

/** Shows how far a stream is. A full zone keeps what it said before. */
function showFlow(r: GateRequest): void {
  if (owner !== r) {
    showRunning(r)
    return
  }
  const usage = usedSoFar()
  show(r, usage ? usage.promptTokens + ' ' + usage.completionTokens : ' ')
}

/**
 * `$tollgate_settled`: what of the ledger's line only the gate knows; nginx writes the rest, see ledger.conf. It
 * runs in the log phase, on every exit, and so it is here that a request is settled.
 */
export function settled(r: GateRequest): string {
  if (owner === r) {
    let text = ''
    try {
      text = settleQuickly()
    } catch (error) {
      tellUnsettled(error as Error)
    }
    if (text !== '') return text
    giveUp(r)
  }
  if (flowing === r) takeBack(r)
  return settledLong(r)
}

/** Empty where it did not end as usual, and nothing was settled. */
function settleQuickly(): string {
  const hasFlowed = flowing !== null
  if (atMs === 0 || !sawLast || (answer === null && !hasFlowed)) return ''
  if (variables['request_completion'] !== 'OK') return ''
  const isSeen = isMetered
  // Of a body that nobody read it is not known what was asked for.
  if (isSeen && !(isRead && (hasFlowed ? isAtEnd() : readUsual(route, answer as Buffer, asked))))
    return ''
  let line = record.begin || beginOf(record)
  line += route + '","admissionMs":' + (spentMs < 0 ? 0 : spentMs)
  if (isRead) {
    const used = settleUse(isSeen)
    if (used === '') return ''
    line += used
  } else if (hasHold) {
    if (!settleTaken(zones || openZones(), 0, 0, 0, Date.now())) return ''
    hasHold = false
  }
  variables['tollgate_outcome'] = 'ok'
  if (hasFlowed) endFlow()
  if (name !== '') (running as NonNullable<typeof running>).delete(name)
  owner = null
  return line
}

/** Settles what was held and used; what of that belongs into the line, as usedOf() has it. Empty: the long way has to. */
function settleUse(isSeen: boolean): string {
  const prompt = isSeen ? promptTokens : 0
  const output = isSeen ? completionTokens : 0
  const price = isSeen ? priceOf(served, model, readPrices()) : null
  const cost = price ? costOfTokens(prompt, output, price) : 0
  const hasHeld = hasHold
  if (hasHeld) {
    // In the same minute as the line's: else the long way counts, by the time of the line.
    const endMs = Date.now()
    const open = zones || openZones()
    if (!settleTaken(open, prompt, output, cost, endMs)) return ''
    // It holds nothing any more, whatever may come.
    hasHold = false
  }
  let line = ',"model":' + quoted
  if (isSeen) line += ',"served":' + (served === model ? quoted : quoteModel(served))
  if (isStream) line += ',"stream":true'
  if (promptBytes > 0) line += ',"promptBytes":' + promptBytes
  if (choices * prompts > 1) line += ',"choices":' + choices * prompts
  if (isSeen) line += ',"promptTokens":' + prompt + ',"completionTokens":' + output
  if (price) line += ',"cost":' + cost / NANOS
  if (hasHeld) line += ',"reservedTokens":' + reservedTokens()
  if (isSeen && flowing !== null) line += timesOf(output)
  if (!isSeen || reason === '' || reason === 'in_progress') return line
  return line + ',"finishReason":' + (reason === 'stop' ? '"stop"' : JSON.stringify(reason))
}

/** How long a stream took to its first token, and how quick it was from there, see speedOf() of the long way. */
function timesOf(output: number): string {
  const waitedMs = firstMs - atMs
  let text = ',"ttftMs":' + (waitedMs < 0 ? 0 : waitedMs)
  const ranMs = lastMs - firstMs
  if (output > 1 && ranMs > 0)
    text += ',"tokensPerSecond":' + Math.round(((output - 1) / (ranMs / 1000)) * 10) / 10
  return text
}

/** From here on it goes the long way. */
function giveUp(r: GateRequest): void {
  ending = handOver(r, find())
  owner = null
}

/** `exit` of njs: the request has ended, whatever way it went. What no line has settled is settled here. */
function leave(): void {
  const isQuick = owner !== null
  const left = isQuick ? endingOf(find()) : ending
  owner = ending = answer = odd = null
  if (left) settleEnding(left)
  if (flowing !== null) endFlow()
}

/** All that was found. */
function find(): Found {
  return {
    route,
    record,
    hash,
    rules,
    atMs,
    spentMs,
    facts: isRead ? quickFacts() : null,
    taken: hasHold ? takenSoFar() : null,
    upstream,
    odd,
    name,
    isMetered,
    answer,
    sawLast,
  }
}
