import { type AdminReply, call, ProblemReply } from './http.ts'
import { nameOf } from './problems.ts'
import type { AdminTarget } from './target.ts'

/** The calls of one admin API. Each refuses when the API does. */
export type Wire = {
  url: string
  get<T>(path: string): Promise<{ body: T; etag: string }>
  post<T>(path: string, body: object): Promise<T>
  /** Replaces what had this ETag; null makes what is not there yet. */
  put<T>(path: string, body: object, etag: string | null): Promise<T>
  remove(path: string, etag: string): Promise<void>
}

/** Somebody else may change the same thing in between, and again while it is tried once more. */
const TRIES_MAX = 5
const PAGE_SIZE = 500

export function connect(target: AdminTarget): Wire {
  const bodyOf = <T>(reply: Promise<AdminReply>) => reply.then(({ body }) => body as T)
  return {
    url: target.url,
    async get<T>(path: string) {
      const { body, etag } = await call(target, { method: 'GET', path })
      return { body: body as T, etag: etag ?? '' }
    },
    post: <T>(path: string, body: object) =>
      bodyOf<T>(call(target, { method: 'POST', path, body })),
    put<T>(path: string, body: object, etag: string | null) {
      const headers = etag === null ? { 'if-none-match': '*' } : { 'if-match': etag }
      return bodyOf<T>(call(target, { method: 'PUT', path, body, headers }))
    },
    async remove(path, etag) {
      await call(target, { method: 'DELETE', path, headers: { 'if-match': etag } })
    },
  }
}

/** `/clients/a%2Fb/keys` of its segments. */
export function pathOf(...segments: string[]): string {
  return segments.map((segment) => `/${encodeURIComponent(segment)}`).join('')
}

/** All pages of a list. */
export async function readAll<T>(wire: Wire, path: string, name: string): Promise<T[]> {
  const all: T[] = []
  let after = ''
  for (;;) {
    const from = after === '' ? '' : `&after=${encodeURIComponent(after)}`
    const { body } = await wire.get<Record<string, T[]> & { next: string | null }>(
      `${path}?limit=${PAGE_SIZE}${from}`,
    )
    all.push(...(body[name] ?? []))
    if (body.next === null || body.next === undefined) return all
    after = body.next
  }
}

/** Reads again and edits again when what was read has changed since. */
export async function again<T>(edit: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await edit()
    } catch (error) {
      const isStale = error instanceof ProblemReply && error.status === 412
      if (!isStale || tries === TRIES_MAX) throw error
    }
  }
}

/** null for what the API does not know, by the name of its problem; any other error goes on. */
export function orNull(problem: string): (error: unknown) => null {
  return (error) => {
    if (error instanceof ProblemReply && nameOf(error.problem) === problem) return null
    throw error
  }
}
