import type { IncomingMessage } from 'node:http'
import type { Answer, BodyAnswer } from './answer.ts'
import { formOf } from './audio.ts'
import { asObject, asString, type Json, type JsonObject, readCall } from './call.ts'
import {
  answerProblem,
  answerStatus,
  frameworkError,
  methodNotAllowed,
  notFound,
  unauthorized,
  unknownModel,
} from './errors.ts'
import { failureText, failWhole } from './failure.ts'
import { servedModel } from './models.ts'
import { type EngineRoute, hasRoute, isGuarded, type Route } from './routes.ts'
import { failsAfter, type Settings, withSettings } from './settings.ts'
import type { Shared } from './shared.ts'

/** Decides what a request gets: settings from every place that may hold them, then the checks in vLLM's order. */
export function answerRequest(
  shared: Shared,
  takeNext: (settings: Settings) => Settings,
  request: IncomingMessage,
  bytes: Buffer,
): { settings: Settings; answer: Answer } {
  const target = targetOf(request.url ?? '/')
  const contentType = String(request.headers['content-type'] ?? '')
  const body = formOf(contentType, bytes) ?? parsed(bytes)
  const settings = [
    target.query.get('mock'),
    asString(asObject(body)?.mock),
    request.headers['x-mock']?.toString(),
  ].reduce<Settings>(
    (settings, text) => (text ? withSettings(settings, text) : settings),
    takeNext(shared.settings),
  )
  const answer = answerTo(shared, settings, request, target, body)
  return { settings: answer.kind === 'body' ? settingsOfWhole(settings, answer) : settings, answer }
}

// Whole answers have these two ends as faults of their own.
function settingsOfWhole(settings: Settings, answer: BodyAnswer): Settings {
  if (answer.status !== 200 || failsAfter(settings) > answer.tokens) return settings
  if (settings.failure === 'close') return { ...settings, die: 'header' }
  return settings.failure === 'abort' ? { ...settings, hang: true } : settings
}

type Target = { path: string; search: string; query: URLSearchParams }

// uvicorn decodes the path before it is routed, and takes the path out of an absolute target.
function targetOf(url: string): Target {
  const [raw = '', search = ''] = url.replace(/^https?:\/\/[^/]*/i, '').split(/\?(.*)/s)
  let path = raw === '' ? '/' : raw
  try {
    path = decodeURIComponent(path)
  } catch {
    // A path that does not decode is no route either way.
  }
  return { path, search, query: new URLSearchParams(search) }
}

function parsed(bytes: Buffer): Json | undefined {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}

function answerTo(
  shared: Shared,
  settings: Settings,
  request: IncomingMessage,
  target: Target,
  body: Json | undefined,
): Answer {
  const { path } = target
  const { dialect } = settings
  if (shared.apiKey !== undefined && isGuarded(dialect, path) && request.method !== 'OPTIONS') {
    if (!hasKey(request, shared.apiKey, dialect.startsWith('llamacpp'))) {
      return unauthorized(dialect)
    }
  }
  if (settings.status !== null) return statusOf(settings, path, settings.status)
  const route = routeOf(shared.routes, settings, path)
  if (route === undefined) return redirectOf(shared.routes, settings, request, target)
  if (!route.methods.includes(request.method ?? '')) {
    return methodNotAllowed(dialect, route.methods.join(', '))
  }
  return route.kind === 'plain'
    ? route.answer(settings)
    : answerEngine(route, settings, path, request, body)
}

// A dead engine's health check has no body.
function statusOf(settings: Settings, path: string, status: number): Answer {
  if (path === '/health') return { kind: 'body', status, headers: {}, body: '', tokens: 0 }
  return answerStatus(settings.dialect, path, status, failureText(settings))
}

function hasKey(request: IncomingMessage, key: string, takesApiKeyHeader: boolean): boolean {
  if (request.headers.authorization === `Bearer ${key}`) return true
  return takesApiKeyHeader && request.headers['x-api-key'] === key
}

function routeOf(routes: Map<string, Route>, settings: Settings, path: string): Route | undefined {
  // vLLM mounts the metrics with a pattern that leaves the rest open: /metricsX is one too.
  const known = path.startsWith('/metrics') ? '/metrics' : path
  return hasRoute(settings.dialect, known) ? routes.get(known) : undefined
}

// FastAPI's redirect_slashes, on by default, puts the caller's Host into the Location.
function redirectOf(
  routes: Map<string, Route>,
  settings: Settings,
  request: IncomingMessage,
  target: Target,
): Answer {
  const bare = target.path.replace(/\/$/, '')
  const redirects = settings.dialect === 'vllm' || settings.dialect === 'sglang'
  if (!redirects || bare === target.path || routeOf(routes, settings, bare) === undefined) {
    return notFound(settings.dialect)
  }
  const query = target.search === '' ? '' : `?${target.search}`
  const location = `http://${request.headers.host ?? ''}${bare}${query}`
  return { kind: 'body', status: 307, headers: { location }, body: '', tokens: 0 }
}

function answerEngine(
  route: EngineRoute,
  settings: Settings,
  path: string,
  request: IncomingMessage,
  value: Json | undefined,
): Answer {
  const { dialect } = settings
  const body = asObject(value)
  const refusal = refusalOf(route, settings, path, request, body)
  if (refusal !== undefined || body === undefined) return refusal ?? notFound(dialect)
  const asked = asString(body.model)
  const model = servedModel(dialect, asked)
  if (model === undefined) return unknownModel(dialect, path, asked ?? '')
  // Only vLLM builds its ids from the caller's.
  const requestId = dialect.startsWith('vllm') ? request.headers['x-request-id'] : undefined
  const call = readCall(settings, body, requestId?.toString(), model)
  return failWhole(call, path, route.answer(call))
}

function refusalOf(
  route: EngineRoute,
  settings: Settings,
  path: string,
  request: IncomingMessage,
  body: JsonObject | undefined,
): BodyAnswer | undefined {
  const { dialect } = settings
  const invalid = (message: string, param?: string): BodyAnswer =>
    dialect === 'vllm' && !path.startsWith('/v1/messages')
      ? frameworkError(400, `1 validation error:\n  ${message}`, param)
      : answerProblem(dialect, path, { status: 400, message })
  const contentType = String(request.headers['content-type'] ?? '').toLowerCase()
  const isJson = contentType.split(';')[0]?.trim() === 'application/json'
  if (route.reads === 'json' && !isJson && !dialect.startsWith('llamacpp')) {
    return invalid("Unsupported Media Type: Only 'application/json' is allowed")
  }
  if (body === undefined) {
    return invalid("{'type': 'json_invalid', 'loc': ('body', 0), 'msg': 'JSON decode error'}")
  }
  const missing = route.required.find((name) => body[name] === undefined || body[name] === null)
  if (missing !== undefined) {
    return invalid(
      `{'type': 'missing', 'loc': ('body', '${missing}'), 'msg': 'Field required'}`,
      missing,
    )
  }
  const options = asObject(body.stream_options)
  if (options === undefined || body.stream === true) return undefined
  if (dialect === 'vllm-rust') return invalid('stream_options can only be used when stream is true')
  if (dialect !== 'vllm') return undefined
  const rule = 'Stream options can only be defined when `stream=True`.'
  return answerProblem(dialect, path, { status: 400, message: rule, param: 'stream_options' })
}
