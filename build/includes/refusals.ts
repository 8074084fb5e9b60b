import type { Ticket } from '../../src/core/admit/admit.ts'
import { answerRefusal } from '../../src/core/admit/answer.ts'
import type { Refusal } from '../../src/core/admit/outcome.ts'
import { listRefusals } from '../../src/core/admit/refusals.ts'
import type { Dialect } from '../../src/core/admit/route.ts'
import { listRoutes } from '../../src/core/admit/routes.ts'
import { literal, type MapRow, writeComment, writeInclude, writeMap } from './write.ts'

/** Stands for what is put in when the request is refused. */
const MESSAGE = '$tollgate_message'
const REQUEST_ID = '$request_id'

/** What is answered where the gate did not say, or said what is no outcome. */
const BROKEN: Refusal = 'gate_error'

/**
 * refusals.conf: what answerRefusal() of src/core/admit/answer.ts says of a refused request, for nginx.
 * All words come out of that function.
 */
export function refusalsConf(): string {
  return writeInclude('Refusals that leave before the body is read: http level.', [
    writeInputs(),
    ...writeStatuses(),
    ...writeMessages(),
    ...writeBodies(),
    ...writeHeaders(),
  ])
}

/** refused.conf: the answer of a refusal, whose status nginx wants to see as a number. */
export function refusedConf(): string {
  const statuses = new Set(listRefusals().map((refusal) => answer(refusal).status))
  for (const fields of [{ allow: 'POST' }, { isEncoded: true as const }])
    statuses.add(answer('unknown_route', 'openai', fields).status)
  const lines = [...statuses].sort().map((status) => {
    return `if ($tollgate_refused_status = ${status}) { return ${status} $tollgate_refusal; }`
  })
  return writeInclude(
    'The answer of a refusal that leaves before the body is read: for server.conf.',
    [lines.join('\n')],
  )
}

function writeInputs(): string {
  return [
    writeComment('What the gate says of a refused request; all are empty where it was admitted.'),
    'js_var $tollgate_fate;     # the outcome',
    'js_var $tollgate_detail;   # a message in place of the usual one, as in JSON, without its quotes',
    'js_var $tollgate_cause;    # of a limit: what $tollgate_words makes words of, in our own bundle',
    'js_var $tollgate_wait;     # 1500 2: how long to wait, in milliseconds and in seconds; tellWait()',
    'js_var $tollgate_kind;     # tokens: a rate is one of tokens; encoded: the body has a content-encoding',
    'js_var $tollgate_allow;    # the method that would have been right',
  ].join('\n')
}

function writeStatuses(): string[] {
  const outcome = (refusal: Refusal, fields: Partial<Ticket> = {}) =>
    String(answer(refusal, 'openai', fields).status)
  const wrongMethod = outcome('unknown_route', { allow: 'POST' })
  return [
    writeMap('The status.', '$tollgate_fate', 'tollgate_refused_status', [
      ['', ''],
      ...listRefusals().map((refusal): MapRow => {
        if (refusal === 'unknown_route') return [refusal, '$tollgate_status_unrouted']
        return [refusal, refusal === 'invalid_body' ? '$tollgate_status_unread' : outcome(refusal)]
      }),
      ['default', outcome(BROKEN)],
    ]),
    writeMap('', '$tollgate_allow', 'tollgate_status_unrouted', [
      ['', outcome('unknown_route')],
      ['default', wrongMethod],
    ]),
    writeMap('', '$tollgate_kind', 'tollgate_status_unread', [
      ['encoded', outcome('invalid_body', { isEncoded: true })],
      ['default', outcome('invalid_body')],
    ]),
  ]
}

function writeMessages(): string[] {
  const allow = '$tollgate_allow'
  return [
    writeMap('The message, as it stands in the JSON.', allow, 'tollgate_message', [
      ['', '$tollgate_message_unread'],
      ['default', messageOf('unknown_route', { allow })],
    ]),
    writeMap('', '$tollgate_kind', 'tollgate_message_unread', [
      ['encoded', literal(messageOf('invalid_body', { isEncoded: true }))],
      ['default', '$tollgate_message_told'],
    ]),
    writeMap('', '$tollgate_detail', 'tollgate_message_told', [
      ['', '$tollgate_message_limit'],
      ['default', '$tollgate_detail'],
    ]),
    writeMap('', '$tollgate_cause', 'tollgate_message_limit', [
      ['', '$tollgate_message_usual'],
      ['default', '$tollgate_words'],
    ]),
    writeMap('', '$tollgate_fate', 'tollgate_message_usual', [
      ...listRefusals().map((refusal): MapRow => [refusal, literal(messageOf(refusal))]),
      ['default', literal(messageOf(BROKEN))],
    ]),
  ]
}

function writeBodies(): string[] {
  const anthropic = listRoutes().filter((route) => route.dialect === 'anthropic')
  const dialects: MapRow[] = anthropic.map(({ name }) => [name, 'anthropic'])
  const bodies = (dialect: Dialect): MapRow[] => [
    ...listRefusals().map((refusal): MapRow => {
      const isRate = dialect === 'openai' && refusal === 'rate_limited'
      return [refusal, isRate ? '$tollgate_rate_openai' : bodyOf(refusal, dialect)]
    }),
    ['default', bodyOf(BROKEN, dialect)],
  ]
  return [
    writeMap('The dialect of the caller.', '$tollgate_route', 'tollgate_dialect', [
      ['', '$tollgate_dialect_of_path'],
      ...dialects,
      ['default', 'openai'],
    ]),
    writeMap('', '$tollgate_path_route', 'tollgate_dialect_of_path', [
      ...dialects,
      ['default', 'openai'],
    ]),
    writeMap('The body.', '$tollgate_dialect', 'tollgate_refusal', [
      ['anthropic', '$tollgate_refusal_anthropic'],
      ['default', '$tollgate_refusal_openai'],
    ]),
    writeMap('', '$tollgate_fate', 'tollgate_refusal_openai', bodies('openai')),
    writeMap('', '$tollgate_fate', 'tollgate_refusal_anthropic', bodies('anthropic')),
    writeMap('', '$tollgate_kind', 'tollgate_rate_openai', [
      ['tokens', bodyOf('rate_limited', 'openai', { limit: 'tokensPerMinute of client' })],
      ['default', bodyOf('rate_limited', 'openai')],
    ]),
  ]
}

function writeHeaders(): string[] {
  const header = (name: string): MapRow[] =>
    listRefusals().flatMap((refusal): MapRow[] => {
      const value = answer(refusal).headers[name]
      return value === undefined ? [] : [[refusal, literal(value)]]
    })
  return [
    writeMap(
      'WWW-Authenticate.',
      '$tollgate_fate',
      'tollgate_challenge',
      header('www-authenticate'),
    ),
    writeMap(
      'X-Should-Retry: asking again is in vain.',
      '$tollgate_fate',
      'tollgate_should_retry',
      header('x-should-retry'),
    ),
    writeMap('Retry-After-Ms and Retry-After.', '$tollgate_wait', 'tollgate_retry_after_ms', [
      ['', ''],
      ['~^(\\d+) (?<tollgate_wait_seconds>\\d+)$', '$1'],
    ]),
    writeMap('', '$tollgate_retry_after_ms', 'tollgate_retry_after', [
      ['', ''],
      ['default', '$tollgate_wait_seconds'],
    ]),
  ]
}

function answer(outcome: Refusal, dialect: Dialect = 'openai', fields: Partial<Ticket> = {}) {
  return answerRefusal({ outcome, dialect, ...fields }, 0, REQUEST_ID)
}

/** The message of a refusal, as it stands in JSON. */
function messageOf(refusal: Refusal, fields: Partial<Ticket> = {}): string {
  const { error } = JSON.parse(answer(refusal, 'openai', fields).body)
  return JSON.stringify(error.message).slice(1, -1)
}

/** The body of a refusal, with variables for the message and the id of the request. */
function bodyOf(refusal: Refusal, dialect: Dialect, fields: Partial<Ticket> = {}): string {
  const { body } = answer(refusal, dialect, { ...fields, message: MESSAGE })
  const rest = body.replace(MESSAGE, '').replace(REQUEST_ID, '')
  if (!body.includes(MESSAGE)) throw new Error(`The body of ${refusal} has no message`)
  literal(rest)
  return body
}
