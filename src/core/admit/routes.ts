import { findRoute, type Route } from './route.ts'

/**
 * Every path of the table in route.ts, for those who list routes (schemas, validation, tools). It
 * stands apart so that the gate's bundle, which only looks one path up, does not carry it; a test
 * holds the two together.
 */
const PATHS = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/responses',
  '/v1/messages',
  '/v1/messages/count_tokens',
  '/v1/models',
  '/v1/embeddings',
  '/v1/score',
  '/v1/rerank',
  '/v2/rerank',
  '/v2/embed',
  '/v1/audio/transcriptions',
  '/v1/audio/translations',
  '/health',
  '/tokenize',
  '/detokenize',
  '/v1/chat/completions/batch',
  '/v1/chat/completions/render',
  '/v1/completions/render',
  '/cohere/v2/chat',
  '/pooling',
  '/classify',
  '/ping',
  '/version',
  '/load',
  '/metrics',
  '/v1/load_lora_adapter',
  '/v1/unload_lora_adapter',
]

/** All known routes, those that are on by default first. */
export function listRoutes(): Route[] {
  const routes: Route[] = []
  PATHS.forEach((path) => {
    const route = findRoute(path)
    if (route) routes.push(route)
  })
  return routes
}

/** Whether a route may be opened to everybody: only what costs the server no tokens. */
export function isPublicAllowed(route: Route): boolean {
  return route.method === 'GET'
}
