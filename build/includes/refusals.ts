import type { Ticket } from '../../src/core/admit/admit.ts'
import { answerRefusal } from '../../src/core/admit/answer.ts'
import type { Refusal } from '../../src/core/admit/outcome.ts'
import { listRefusals } from '../../src/core/admit/refusals.ts'
import type { Dialect } from '../../src/core/admit/route.ts'
import { listRoutes } from '../../src/core/admit/routes.ts'
import { literal, type MapRow, writeComment, writeInclude, writeMap } from './write.ts'

/** Stands for what is put in when the request is refused. */
const MESSAGE = '$tg_say'
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
    return `if ($tg_no_status = ${status}) { return ${status} $tg_refusal; }`
  })
  return writeInclude(
    'The answer of a refusal that leaves before the body is read: for server.conf.',
    [lines.join('\n')],
  )
}

function writeInputs(): string {
  return [
    writeComment('What the gate says of a refused request; all are empty where it was admitted.'),
    'js_var $tg_fate;     # the outcome',
    'js_var $tg_detail;   # a message in place of the usual one, as in JSON, without its quotes',
    'js_var $tg_cause;    # of a limit: what $tg_words makes words of, in our own bundle',
    'js_var $tg_wait;     # 1500 2: how long to wait, in milliseconds and in seconds; tellWait()',
    'js_var $tg_kind;     # tokens: a rate is one of tokens; encoded: the body has a content-encoding',
    'js_var $tg_allow;    # the method that would have been right',
  ].join('\n')
}

function writeStatuses(): string[] {
  const outcome = (refusal: Refusal, fields: Partial<Ticket> = {}) =>
    String(answer(refusal, 'openai', fields).status)
  const wrongMethod = outcome('unknown_route', { allow: 'POST' })
  return [
    writeMap('The status.', '$tg_fate', 'tg_no_status', [
      ['', ''],
      ...listRefusals().map((refusal): MapRow => {
        if (refusal === 'unknown_route') return [refusal, '$tg_no_route']
        return [refusal, refusal === 'invalid_body' ? '$tg_no_body' : outcome(refusal)]
      }),
      ['default', outcome(BROKEN)],
    ]),
    writeMap('', '$tg_allow', 'tg_no_route', [
      ['', outcome('unknown_route')],
      ['default', wrongMethod],
    ]),
    writeMap('', '$tg_kind', 'tg_no_body', [
      ['encoded', outcome('invalid_body', { isEncoded: true })],
      ['default', outcome('invalid_body')],
    ]),
  ]
}

function writeMessages(): string[] {
  const allow = '$tg_allow'
  return [
    writeMap('The message, as it stands in the JSON.', allow, 'tg_say', [
      ['', '$tg_say_body'],
      ['default', messageOf('unknown_route', { allow })],
    ]),
    writeMap('', '$tg_kind', 'tg_say_body', [
      ['encoded', literal(messageOf('invalid_body', { isEncoded: true }))],
      ['default', '$tg_say_detail'],
    ]),
    writeMap('', '$tg_detail', 'tg_say_detail', [
      ['', '$tg_say_limit'],
      ['default', '$tg_detail'],
    ]),
    writeMap('', '$tg_cause', 'tg_say_limit', [
      ['', '$tg_say_usual'],
      ['default', '$tg_words'],
    ]),
    writeMap('', '$tg_fate', 'tg_say_usual', [
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
      return [refusal, isRate ? '$tg_o_rate' : bodyOf(refusal, dialect)]
    }),
    ['default', bodyOf(BROKEN, dialect)],
  ]
  return [
    writeMap('The dialect of the caller.', '$tollgate_route', 'tg_in_dialect', [
      ['', '$tg_dialect'],
      ...dialects,
      ['default', 'openai'],
    ]),
    writeMap('', '$tg_at_path', 'tg_dialect', [...dialects, ['default', 'openai']]),
    writeMap('The body.', '$tg_in_dialect', 'tg_refusal', [
      ['anthropic', '$tg_a_refusal'],
      ['default', '$tg_o_refusal'],
    ]),
    writeMap('', '$tg_fate', 'tg_o_refusal', bodies('openai')),
    writeMap('', '$tg_fate', 'tg_a_refusal', bodies('anthropic')),
    writeMap('', '$tg_kind', 'tg_o_rate', [
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
    writeMap('WWW-Authenticate.', '$tg_fate', 'tg_challenge', header('www-authenticate')),
    writeMap(
      'X-Should-Retry: asking again is in vain.',
      '$tg_fate',
      'tg_retriable',
      header('x-should-retry'),
    ),
    writeMap('Retry-After-Ms and Retry-After.', '$tg_wait', 'tg_wait_ms', [
      ['', ''],
      ['~^(\\d+) (?<tg_wait_s>\\d+)$', '$1'],
    ]),
    writeMap('', '$tg_wait_ms', 'tg_retry', [
      ['', ''],
      ['default', '$tg_wait_s'],
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
