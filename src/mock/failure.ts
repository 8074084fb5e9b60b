import type { Answer, Failure } from './answer.ts'
import type { Call } from './call.ts'
import { answerProblem } from './errors.ts'
import { failsAfter, type Settings } from './settings.ts'

/** vLLM 0.32, asked or streaming when its engine's process has died. */
const deadEngine = 'EngineCore encountered an issue. See stack trace (above) for the root cause.'

export function failureText(settings: Settings): string {
  return settings.failure === 'engine' ? deadEngine : 'Internal server error'
}

/** The error event of vLLM's Python server: json.dumps, hence the spaces. */
export function errorEvent(settings: Settings): string {
  const message = JSON.stringify(failureText(settings))
  return `data: {"error": {"message": ${message}, "type": "InternalServerError", "param": null, "code": 500}}\n\n`
}

/**
 * What a failing stream ends with: these events, unless the settings name an end without any.
 * SIGTERM lets all but chat and completions hang, whose shape.ts knows their end.
 */
export function failureOf(settings: Settings, events: string[]): Failure {
  if (settings.failure === 'close') return 'close'
  return settings.failure === 'abort' ? 'hang' : events
}

/** A whole answer of status 200 that holds an error, where the engine fails before its end. */
export function failWhole(call: Call, path: string, answer: Answer): Answer {
  const { settings } = call
  const after = failsAfter(settings)
  if (answer.kind === 'stream' || answer.status !== 200 || after > answer.tokens) return answer
  // A response tells its failure in an object of its own.
  if (path === '/v1/responses' && settings.failure === 'failed') return answer
  const problem = { status: 500, message: failureText(settings) }
  return { ...answerProblem(settings.dialect, path, problem), status: 200, tokens: after }
}
