import type { BodyAnswer } from './answer.ts'
import type { Dialect } from './settings.ts'

/** What went wrong, before a dialect words it. */
export type Problem = { status: number; message: string; param?: string; code?: string }

const types: Record<number, string> = {
  400: 'BadRequestError',
  404: 'NotFoundError',
  422: 'UnprocessableEntityError',
  500: 'InternalServerError',
  501: 'NotImplementedError',
}

/** An error that the engine's own code raises, in the shape of the dialect and the route. */
export function answerProblem(dialect: Dialect, path: string, problem: Problem): BodyAnswer {
  return errorBody(problem.status, problemBody(dialect, path, problem))
}

function problemBody(dialect: Dialect, path: string, problem: Problem): string {
  const { status, message } = problem
  const param = problem.param ?? null
  const type = types[status] ?? 'InternalServerError'
  if (path.startsWith('/v1/messages')) {
    return JSON.stringify({ type: 'error', error: { type, message } })
  }
  switch (dialect) {
    case 'vllm':
      return JSON.stringify({ error: { message, type, param, code: status } })
    case 'vllm-rust': {
      const isServer = status >= 500
      const rustType = isServer ? 'server_error' : 'invalid_request_error'
      const code = problem.code ?? rustType
      return JSON.stringify({ error: { message, type: rustType, param, code } })
    }
    case 'llamacpp':
    case 'llamacpp-old': {
      const llamaType = status >= 500 ? 'server_error' : 'invalid_request_error'
      return JSON.stringify({ error: { code: status, message, type: llamaType } })
    }
    case 'sglang':
      return JSON.stringify({ object: 'error', message, type, param, code: status })
  }
}

/** The answer to `status:N`: the bodies that vLLM gives with that status, and this message where it has no other. */
export function answerStatus(
  dialect: Dialect,
  path: string,
  status: number,
  message: string,
): BodyAnswer {
  if (status === 401) return unauthorized(dialect)
  // The engine is scaling: the only 503 with a body that every release knows.
  if (status === 503 && dialect === 'vllm') {
    const body = '{"error":"The model is currently scaling. Please try again later."}'
    return errorBody(503, body)
  }
  if (status === 503 && dialect.startsWith('llamacpp')) {
    const body = '{"error":{"message":"Loading model","type":"unavailable_error","code":503}}'
    return errorBody(503, body)
  }
  if (status === 400) {
    const tooLong = "This model's maximum context length is 8192 tokens. ..."
    return answerProblem(dialect, path, { status, message: tooLong, param: 'input_tokens' })
  }
  if (status === 404) return unknownModel(dialect, path, 'nope')
  return answerProblem(dialect, path, { status, message })
}

export function unknownModel(dialect: Dialect, path: string, model: string): BodyAnswer {
  const message = `The model \`${model}\` does not exist.`
  const problem = { status: 404, message, param: 'model', code: 'model_not_found' }
  return answerProblem(dialect, path, problem)
}

export function unauthorized(dialect: Dialect): BodyAnswer {
  if (!dialect.startsWith('llamacpp')) return errorBody(401, '{"error":"Unauthorized"}')
  const body = '{"error":{"code":401,"message":"Invalid API Key","type":"authentication_error"}}'
  return errorBody(401, body)
}

/** A path that the server does not know. */
export function notFound(dialect: Dialect): BodyAnswer {
  switch (dialect) {
    case 'vllm':
      return frameworkError(404, 'Not Found')
    case 'vllm-rust':
      return { kind: 'body', status: 404, headers: {}, body: '', tokens: 0 }
    case 'llamacpp':
    case 'llamacpp-old':
      return errorBody(
        404,
        '{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}',
      )
    case 'sglang':
      return errorBody(404, '{"detail":"Not Found"}')
  }
}

/** A known path with another method. */
export function methodNotAllowed(dialect: Dialect, allowed: string): BodyAnswer {
  if (dialect.startsWith('llamacpp')) return notFound(dialect)
  const allow = { allow: allowed }
  if (dialect === 'vllm-rust') {
    return { kind: 'body', status: 405, headers: allow, body: '', tokens: 0 }
  }
  const answer =
    dialect === 'sglang'
      ? errorBody(405, '{"detail":"Method Not Allowed"}')
      : frameworkError(405, 'Method Not Allowed')
  return { ...answer, headers: { ...answer.headers, ...allow } }
}

/** An error of the web framework or of validation: its type is the phrase of the status. */
export function frameworkError(status: number, message: string, param?: string): BodyAnswer {
  const phrase = status === 400 ? 'Bad Request' : message
  return errorBody(
    status,
    JSON.stringify({ error: { message, type: phrase, param: param ?? null, code: status } }),
  )
}

function errorBody(status: number, body: string): BodyAnswer {
  return { kind: 'body', status, headers: { 'content-type': 'application/json' }, body, tokens: 0 }
}
