import type { Problem } from '../../core/config/shapes.ts'

/**
 * Why a call came to nothing: what the API says (RFC 9457), or `unreachable` when it says nothing.
 * `status` is 0 then.
 */
export class ApiProblem extends Error {
  readonly status: number
  /** The last part of the problem's type: `unknown-client`. */
  readonly code: string
  readonly title: string
  readonly detail: string
  readonly problems: Problem[]

  constructor(status: number, fields: ProblemFields) {
    super(fields.title)
    this.status = status
    this.code = fields.code
    this.title = fields.title
    this.detail = fields.detail
    this.problems = fields.problems
  }
}

type ProblemFields = { code: string; title: string; detail: string; problems: Problem[] }

/** Reads the body of an answer that is no success. It need not be JSON: nginx has pages of its own. */
export function readProblem(status: number, text: string): ApiProblem {
  const body = parse(text)
  const type = String(body['type'] ?? '')
  const problems = Array.isArray(body['problems']) ? (body['problems'] as Problem[]) : []
  return new ApiProblem(status, {
    code: type.slice(type.lastIndexOf('/') + 1) || `status-${status}`,
    title: String(body['title'] ?? `HTTP ${status}`),
    detail: String(body['detail'] ?? ''),
    problems,
  })
}

function parse(text: string): { [name: string]: unknown } {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

/** What was thrown, as a problem: a mistake of this page is one too, and must be seen. */
export function asProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error
  console.error(error)
  return new ApiProblem(0, {
    code: 'console',
    title: error instanceof Error ? error.message : String(error),
    detail: '',
    problems: [],
  })
}
