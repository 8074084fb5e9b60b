import { expect } from 'vitest'
import type { AdminInit, Gate } from './harness.ts'

/** The JSON of an answer. */
export async function read(response: Response) {
  return JSON.parse(await response.text())
}

/** A problem of a name, with the headers that every answer has; gives its body. */
export async function expectProblem(response: Response, status: number, name: string) {
  const body = await read(response)
  expect(body).toMatchObject({ type: `/problems/${name}`, status })
  expect(response.status).toBe(status)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  expect(body.title).toMatch(/^[A-Z]/)
  expect(body.detail).not.toMatch(/tga_[a-z0-9]{8}_/)
  expectHeaders(response)
  return body
}

export function expectHeaders({ headers }: Response): void {
  expect(headers.get('cache-control')).toBe('no-store')
  expect(headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/)
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('access-control-allow-origin')).toBeNull()
}

/** Calls as `alice`, with the method in front of the path: `PUT /clients/app`. */
export function caller(gate: Gate) {
  return (line: string, body?: unknown, headers: Record<string, string> = {}) => {
    const [method = 'GET', path = '/'] = line.split(' ')
    const init: AdminInit = { method, headers }
    return gate.admin(path, body === undefined ? init : { ...init, body })
  }
}

/** The ETag of what is at a path. */
export async function etagOf(gate: Gate, path: string): Promise<string> {
  const response = await gate.admin(path)
  expect(response.status).toBe(200)
  return response.headers.get('etag') ?? ''
}

/** What a change to something that is there has to send. */
export async function matching(gate: Gate, path: string): Promise<Record<string, string>> {
  return { 'if-match': await etagOf(gate, path) }
}

export const isNew = { 'if-none-match': '*' }
