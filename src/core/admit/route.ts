import type { RouteAccess, Scope } from '../config/shapes.ts'

/** A family of wire formats: what an error looks like, and where usage stands. */
export type Dialect = 'openai' | 'anthropic'

/** What a route takes: JSON that the gate reads, or something that passes unread. */
export type BodyKind = 'json' | 'other'

/** A known endpoint of the server behind the gate. */
export type Route = {
  name: string
  method: 'GET' | 'POST'
  path: string
  dialect: Dialect
  scope: Scope
  body: BodyKind
  /** How it is opened when policy.json does not say. */
  access: RouteAccess
}

/**
 * Finds the route of an exact path. The table is vLLM's own, frontends and versions together
 * (vllm-wire.md, section 1): what is not in it is 404, and nothing opens a whole prefix. It is a
 * switch because the njs engine would build a table anew at every request.
 */
export function findRoute(path: string): Route | null {
  switch (path) {
    case '/v1/chat/completions':
      return post('chat', path, 'inference', 'key')
    case '/v1/completions':
      return post('completions', path, 'inference', 'key')
    case '/v1/responses':
      return post('responses', path, 'inference', 'key')
    case '/v1/messages':
      return messages('messages', path)
    case '/v1/models':
      return get('models', path, 'models', 'key')
    case '/v1/embeddings':
      return post('embeddings', path, 'embeddings', 'key')
    case '/v1/messages/count_tokens':
      return messages('count_tokens', path)
    case '/health':
      return get('health', path, 'models', 'public')
    case '/v1/score':
      return post('score', path, 'embeddings', 'key')
    case '/v1/rerank':
      return post('rerank', path, 'embeddings', 'key')
    case '/v2/rerank':
      return post('rerank_v2', path, 'embeddings', 'key')
    case '/v2/embed':
      return post('embed_v2', path, 'embeddings', 'key')
    case '/v1/audio/transcriptions':
      return form('transcriptions', path, 'audio', 'key')
    case '/v1/audio/translations':
      return form('translations', path, 'audio', 'key')
    default:
      return findClosedRoute(path)
  }
}

/** Routes that stay closed until policy.json opens them by name. */
function findClosedRoute(path: string): Route | null {
  switch (path) {
    case '/tokenize':
      return post('tokenize', path, 'tokenize', 'off')
    case '/detokenize':
      return post('detokenize', path, 'tokenize', 'off')
    case '/v1/chat/completions/batch':
      return post('chat_batch', path, 'inference', 'off')
    case '/v1/chat/completions/render':
      return post('chat_render', path, 'tokenize', 'off')
    case '/v1/completions/render':
      return post('completions_render', path, 'tokenize', 'off')
    case '/cohere/v2/chat':
      return post('cohere_chat', path, 'inference', 'off')
    case '/pooling':
      return post('pooling', path, 'embeddings', 'off')
    case '/classify':
      return post('classify', path, 'embeddings', 'off')
    case '/ping':
      return get('ping', path, 'models', 'off')
    case '/version':
      return get('version', path, 'admin', 'off')
    case '/load':
      return get('load', path, 'admin', 'off')
    case '/metrics':
      return get('metrics', path, 'admin', 'off')
    case '/v1/load_lora_adapter':
      return form('lora_load', path, 'admin', 'off')
    case '/v1/unload_lora_adapter':
      return form('lora_unload', path, 'admin', 'off')
    default:
      return null
  }
}

function get(name: string, path: string, scope: Scope, access: RouteAccess): Route {
  return { name, method: 'GET', path, dialect: 'openai', scope, access, body: 'other' }
}

function post(name: string, path: string, scope: Scope, access: RouteAccess): Route {
  return { name, method: 'POST', path, dialect: 'openai', scope, access, body: 'json' }
}

/** A route whose body the gate does not read: multipart, or for administrators. */
function form(name: string, path: string, scope: Scope, access: RouteAccess): Route {
  return { name, method: 'POST', path, dialect: 'openai', scope, access, body: 'other' }
}

function messages(name: string, path: string): Route {
  const dialect = 'anthropic'
  return { name, method: 'POST', path, dialect, scope: 'inference', access: 'key', body: 'json' }
}
