import { endSession, token } from '../session.ts'
import { ApiProblem, readProblem } from './problem.ts'

export type Fetched<T> = { body: T; etag: string; status: number }

export type CallOptions = {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Sent as JSON. */
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
  /** Another token than that of the session: the one that is being tried. */
  token?: string
}

/**
 * Calls the admin API. A token that is not taken any more ends the session; every other answer that is
 * no success is thrown as an ApiProblem.
 */
export async function call<T>(path: string, options: CallOptions = {}): Promise<Fetched<T>> {
  const response = await send(path, options)
  const text = await response.text()
  if (!response.ok) {
    if (response.status === 401 && options.token === undefined) endSession('refused')
    throw readProblem(response.status, text)
  }
  const body = text === '' ? undefined : JSON.parse(text)
  return { body: body as T, etag: response.headers.get('etag') ?? '', status: response.status }
}

async function send(path: string, options: CallOptions): Promise<Response> {
  const headers = new Headers(options.headers)
  headers.set('authorization', `Bearer ${options.token ?? token.value}`)
  headers.set('accept', 'application/json')
  const isWithBody = options.body !== undefined
  if (isWithBody && !headers.has('content-type')) headers.set('content-type', 'application/json')
  try {
    return await fetch(path, {
      method: options.method ?? 'GET',
      headers,
      credentials: 'omit',
      cache: 'no-store',
      redirect: 'error',
      ...(isWithBody ? { body: JSON.stringify(options.body) } : {}),
      ...(options.signal ? { signal: options.signal } : {}),
    })
  } catch (error) {
    if (options.signal?.aborted) throw error
    const fields = { code: 'unreachable', title: String(error), detail: '', problems: [] }
    throw new ApiProblem(0, fields)
  }
}

/** A path with its parameters; those that are undefined or empty are left out. */
export function withQuery(path: string, query: Record<string, string | undefined>): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value) search.set(name, value)
  const text = search.toString()
  return text === '' ? path : `${path}?${text}`
}
