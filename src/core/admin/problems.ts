import type { Problem } from '../config/shapes.ts'
import type { ProblemBody, Reply } from './types.ts'

/** Every problem that the admin API answers with: its status, and its title. */
const PROBLEMS = {
  'bad-request': [400, 'The request cannot be understood'],
  'bad-json': [400, 'The body is not JSON'],
  'bad-parameter': [400, 'A parameter of the query is wrong'],
  unauthorized: [401, 'A live admin token is needed'],
  'read-role': [403, 'The token may only read'],
  'unknown-path': [404, 'There is no such path'],
  'unknown-client': [404, 'There is no such client'],
  'unknown-key': [404, 'There is no such key'],
  'unknown-plan': [404, 'There is no such plan'],
  'unknown-request': [404, 'No such request is running'],
  'method-not-allowed': [405, 'The path does not take this method'],
  'read-only': [409, 'The configuration cannot be written'],
  'broken-configuration': [409, 'The configuration has to be mended first'],
  taken: [409, 'It is there already'],
  'in-use': [409, 'It is in use'],
  'still-running': [409, 'The first request with this Idempotency-Key still runs'],
  'etag-mismatch': [412, 'It has been changed in between'],
  'too-large': [413, 'The body is too large'],
  'unsupported-type': [415, 'The type of the body is not taken'],
  invalid: [422, 'The change was refused'],
  'idempotency-mismatch': [422, 'The Idempotency-Key was used for another request'],
  'etag-needed': [428, 'The change has to say what it is based on'],
  broken: [500, 'The admin API broke'],
  'cannot-write': [500, 'The configuration could not be written'],
  'cannot-read': [500, 'A file of the gate could not be read'],
  loading: [503, 'The configuration is not loaded'],
  locked: [503, 'The configuration is locked'],
  full: [503, 'A zone of shared memory is full'],
} as const

export type ProblemName = keyof typeof PROBLEMS

/** An answer that tells a problem: what happened, with the fix, and in the body what was wrong where. */
export function problem(name: ProblemName, detail: string, problems?: Problem[]): Reply {
  const known = PROBLEMS[name]
  const body: ProblemBody = {
    type: `/problems/${name}`,
    title: known[1],
    status: known[0],
    detail,
  }
  if (problems) body.problems = problems
  return { status: known[0], body, contentType: 'application/problem+json' }
}

/** The names of all problems, for the OpenAPI document. */
export function listProblems(): ProblemName[] {
  return Object.keys(PROBLEMS) as ProblemName[]
}
