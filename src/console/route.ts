import { signal } from '@preact/signals'

/** Where the page is: `#/clients/app?tab=keys` is the path ['clients', 'app'] and a query. */
export type Route = { path: string[]; query: URLSearchParams }

export const route = signal<Route>(parseHash(location.hash))

export function watchRoute(): void {
  addEventListener('hashchange', () => {
    route.value = parseHash(location.hash)
  })
}

/** Reads a hash; what cannot be decoded is taken as it stands. */
export function parseHash(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const parts = path.split('/').filter(Boolean).map(decode)
  return { path: parts, query: new URLSearchParams(query) }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

export function hashOf(path: string[], query: Record<string, string> = {}): string {
  const search = new URLSearchParams(query).toString()
  return `#/${path.map(encodeURIComponent).join('/')}${search ? `?${search}` : ''}`
}

export function go(path: string[], query: Record<string, string> = {}): void {
  location.hash = hashOf(path, query)
}

/** Changes the query without another entry in the history: for filters. */
export function replaceQuery(query: Record<string, string>): void {
  history.replaceState(null, '', hashOf(route.value.path, query))
  route.value = parseHash(location.hash)
}
