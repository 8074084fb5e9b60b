import { type Route, routeOf } from './route.ts'

/** A route and its exact path. */
export type PathRoute = Route & { path: string }

/**
 * The path of every route, those that are on by default first. It stands apart from route.ts, since the gate does not
 * need it: nginx finds routes by routes.conf, which is made of this.
 */
const PATHS: [path: string, name: string][] = [
  ['/v1/chat/completions', 'chat'],
  ['/v1/completions', 'completions'],
  ['/v1/responses', 'responses'],
  ['/v1/messages', 'messages'],
  ['/v1/messages/count_tokens', 'count_tokens'],
  ['/v1/models', 'models'],
  ['/v1/embeddings', 'embeddings'],
  ['/v1/score', 'score'],
  ['/v1/rerank', 'rerank'],
  ['/v2/rerank', 'rerank_v2'],
  ['/v2/embed', 'embed_v2'],
  ['/v1/audio/transcriptions', 'transcriptions'],
  ['/v1/audio/translations', 'translations'],
  ['/health', 'health'],
  ['/tokenize', 'tokenize'],
  ['/detokenize', 'detokenize'],
  ['/v1/chat/completions/batch', 'chat_batch'],
  ['/v1/chat/completions/render', 'chat_render'],
  ['/v1/completions/render', 'completions_render'],
  ['/cohere/v2/chat', 'cohere_chat'],
  ['/pooling', 'pooling'],
  ['/classify', 'classify'],
  ['/ping', 'ping'],
  ['/version', 'version'],
  ['/load', 'load'],
  ['/metrics', 'metrics'],
  ['/v1/load_lora_adapter', 'lora_load'],
  ['/v1/unload_lora_adapter', 'lora_unload'],
]

/** All known routes, those that are on by default first. */
export function listRoutes(): PathRoute[] {
  const routes: PathRoute[] = []
  PATHS.forEach((pair) => {
    const route = routeOf(pair[1])
    if (route) routes.push(Object.assign({ path: pair[0] }, route))
  })
  return routes
}

/** The route of an exact path, whatever the method. */
export function findRoute(path: string): PathRoute | null {
  return listRoutes().find((route) => route.path === path) || null
}

/**
 * The path exactly as it was sent, of a request line: before decoding, merging of slashes or removal of dots, so
 * that what is judged is what the server behind will see. An absolute-form target is none of the routes.
 */
export function pathOf(method: string, requestLine: string): string {
  const start = method.length + 1
  let end = requestLine.indexOf(' ', start)
  if (end < 0) end = requestLine.length
  const query = requestLine.indexOf('?', start)
  return requestLine.slice(start, query >= 0 && query < end ? query : end)
}

/** Whether a route may be opened to everybody: only what costs the server no tokens. */
export function isPublicAllowed(route: Route): boolean {
  return route.method === 'GET'
}
