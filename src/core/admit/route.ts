import type { RouteAccess, Scope } from '../config/shapes.ts'

/** A family of wire formats: what an error looks like, and where usage stands. */
export type Dialect = 'openai' | 'anthropic'

/** What a route takes: JSON that the gate reads, or something that passes unread. */
export type BodyKind = 'json' | 'other'

/** A known endpoint of the server behind the gate. */
export type Route = {
  name: string
  method: 'GET' | 'POST'
  dialect: Dialect
  scope: Scope
  body: BodyKind
  /** How it is opened when policy.json does not say. */
  access: RouteAccess
}

/**
 * The route of a name, which nginx finds by method and exact path, see routes.ts. The table is vLLM's own, frontends and
 * versions together (vllm-wire.md, section 1): what is not in it is 404, and nothing opens a whole prefix. It is
 * a switch because the njs engine would build a table anew at every request.
 */
export function routeOf(name: string): Route | null {
  if (last !== null && last.name === name) return last
  last = openRouteOf(name)
  return last
}

/** The route of the last request, where the engine keeps it. Nobody may change it. */
let last: Route | null = null

function openRouteOf(name: string): Route | null {
  switch (name) {
    case 'chat':
      return post(name, 'inference', 'key')
    case 'completions':
      return post(name, 'inference', 'key')
    case 'responses':
      return post(name, 'inference', 'key')
    case 'messages':
      return messages(name)
    case 'models':
      return get(name, 'models', 'key')
    case 'embeddings':
      return post(name, 'embeddings', 'key')
    case 'count_tokens':
      return messages(name)
    case 'health':
      return get(name, 'models', 'public')
    case 'score':
      return post(name, 'embeddings', 'key')
    case 'rerank':
      return post(name, 'embeddings', 'key')
    case 'rerank_v2':
      return post(name, 'embeddings', 'key')
    case 'embed_v2':
      return post(name, 'embeddings', 'key')
    case 'transcriptions':
      return form(name, 'audio', 'key')
    case 'translations':
      return form(name, 'audio', 'key')
    default:
      return closedRouteOf(name)
  }
}

/** Routes that stay closed until policy.json opens them by name. */
function closedRouteOf(name: string): Route | null {
  switch (name) {
    case 'tokenize':
      return post(name, 'tokenize', 'off')
    case 'detokenize':
      return post(name, 'tokenize', 'off')
    case 'chat_batch':
      return post(name, 'inference', 'off')
    case 'chat_render':
      return post(name, 'tokenize', 'off')
    case 'completions_render':
      return post(name, 'tokenize', 'off')
    case 'cohere_chat':
      return post(name, 'inference', 'off')
    case 'pooling':
      return post(name, 'embeddings', 'off')
    case 'classify':
      return post(name, 'embeddings', 'off')
    case 'ping':
      return get(name, 'models', 'off')
    case 'version':
      return get(name, 'admin', 'off')
    case 'load':
      return get(name, 'admin', 'off')
    case 'metrics':
      return get(name, 'admin', 'off')
    case 'lora_load':
      return form(name, 'admin', 'off')
    case 'lora_unload':
      return form(name, 'admin', 'off')
    default:
      return null
  }
}

function get(name: string, scope: Scope, access: RouteAccess): Route {
  return { name, method: 'GET', dialect: 'openai', scope, access, body: 'other' }
}

function post(name: string, scope: Scope, access: RouteAccess): Route {
  return { name, method: 'POST', dialect: 'openai', scope, access, body: 'json' }
}

/** A route whose body the gate does not read: multipart, or for administrators. */
function form(name: string, scope: Scope, access: RouteAccess): Route {
  return { name, method: 'POST', dialect: 'openai', scope, access, body: 'other' }
}

function messages(name: string): Route {
  const dialect = 'anthropic'
  return { name, method: 'POST', dialect, scope: 'inference', access: 'key', body: 'json' }
}
