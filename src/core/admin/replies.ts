import { type Refused, reasonOf } from '../config/edits.ts'
import { NAME_PATTERN } from '../config/schema.ts'
import type { Problem } from '../config/shapes.ts'
import type { Condition } from './etag.ts'
import { type ProblemName, problem } from './problems.ts'
import type { Call, Reply } from './types.ts'

/** An edit that was refused, as an answer. `unknown` is the problem of what was named and is not there. */
export function refusal(refused: Refused, unknown: ProblemName): Reply {
  const reason = reasonOf(refused)
  if (reason.why === 'unknown') return problem(unknown, refused.refused)
  if (reason.why === 'taken') return problem('taken', refused.refused)
  return problem('invalid', refused.refused, reason.problems || [])
}

/** Problems of a body, as an answer. */
export function invalid(problems: Problem[]): Reply {
  const many = problems.length === 1 ? '1 problem' : `${problems.length} problems`
  return problem('invalid', `Nothing was changed: ${many} in the body`, problems)
}

export function conditionOf(call: Call): Condition {
  return { match: call.header('If-Match'), noneMatch: call.header('If-None-Match') }
}

/** Whether a client or plan can have this name: what cannot is not there, whoever asks. */
export function isName(name: string): boolean {
  return new RegExp(NAME_PATTERN).test(name)
}

/** `limit` of a query, from 1 to `most`; a reply when it is none. */
export function readLimit(call: Call, usual: number, most: number): number | Reply {
  const text = call.query['limit']
  if (text === undefined) return usual
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (limit >= 1 && limit <= most) return limit
  return problem('bad-parameter', `limit must be a number from 1 to ${most}`)
}
