import { hasOwn } from '../config/interpret.ts'
import type { Role } from '../config/shapes.ts'
import type { Method } from './types.ts'

/** One call of the admin API. */
export type AdminRoute = {
  method: Method
  /** `{name}` stands for one segment of the path. */
  path: string
  role: Role
}

/** The most bytes of a body, and the most strings, objects and lists in it. */
export type Bounds = { bytes: number; parts: number }

/** What a request line comes to. */
export type Match =
  | { route: AdminRoute; params: { [name: string]: string } }
  | { fault: 'unknown' | 'encoding' }
  | { allow: string }

/**
 * Every call but GET /openapi.json, which nginx answers by itself. The handlers of src/edge/admin are
 * found by method and path.
 */
export function listAdminRoutes(): AdminRoute[] {
  return TABLE.split('\n').map((line) => {
    const parts = line.split(' ')
    return { method: parts[0] as Method, path: parts[1] as string, role: parts[2] as Role }
  })
}

/**
 * How much a call takes as its body. What is more takes a worker longer than some hundred milliseconds;
 * 1 MB is also the bound of nginx, in admin.conf.
 */
export function boundsOf(route: AdminRoute): Bounds {
  switch (route.path) {
    case '/import':
      // 8,886 of the shortest keys, each with 8 strings and objects.
      return { bytes: 1048576, parts: 100000 }
    case '/policy':
    case '/policy/validate':
      // A plan with everything has 50 parts, a usual one 15.
      return { bytes: 1048576, parts: 50000 }
    case '/clients/{name}':
    case '/plans/{name}':
      // 256 models with all their characters, and as many addresses.
      return { bytes: 262144, parts: 10000 }
    default:
      // A note with all its characters escaped, and every limit.
      return { bytes: 16384, parts: 1000 }
  }
}

const TABLE = `GET /me read
GET /status read
GET /clients read
GET /clients/{name} read
PUT /clients/{name} write
PATCH /clients/{name} write
DELETE /clients/{name} write
POST /clients/{name}/keys write
POST /clients/{name}/keys/rotate write
GET /clients/{name}/balance read
GET /keys/{id} read
POST /keys/verify read
POST /keys/{id}/revoke write
POST /import write
GET /plans read
GET /plans/{name} read
PUT /plans/{name} write
DELETE /plans/{name} write
GET /policy read
PUT /policy write
POST /policy/validate read
GET /balances read
GET /running read
GET /requests read
POST /requests/{id}/cut write
GET /usage read
GET /audit read
GET /metrics read`

/** Finds the route of a method and a path as it was sent, without the query. */
export function matchRoute(method: string, path: string): Match {
  const segments = splitPath(path)
  if (!segments) return { fault: 'encoding' }
  // HEAD is GET; nginx leaves the body out.
  const asked = method === 'HEAD' ? 'GET' : method
  const fitting = listAdminRoutes().filter((route) => readParams(route.path, segments) !== null)
  const route = fitting.find((one) => one.method === asked)
  if (route) return { route, params: readParams(route.path, segments) || {} }
  if (fitting.length === 0) return { fault: 'unknown' }
  return { allow: fitting.map((one) => one.method).join(', ') }
}

/** Segments of a path, each decoded by itself: a `%2F` is no slash. Null when one cannot be. */
function splitPath(path: string): string[] | null {
  try {
    return path.split('/').map((segment) => decodeURIComponent(segment))
  } catch (_) {
    return null
  }
}

function readParams(path: string, segments: string[]): { [name: string]: string } | null {
  const parts = path.split('/')
  if (parts.length !== segments.length) return null
  const params: { [name: string]: string } = {}
  const fits = parts.every((part, i) => {
    if (part.charAt(0) !== '{') return part === segments[i]
    params[part.slice(1, -1)] = segments[i] as string
    return segments[i] !== ''
  })
  return fits ? params : null
}

/** Reads a query. Of a name that stands twice the first holds; what cannot be decoded is left out. */
export function parseQuery(text: string): { [name: string]: string } {
  const query: { [name: string]: string } = {}
  text.split('&').forEach((part) => {
    const equals = part.indexOf('=')
    if (equals < 1) return
    try {
      const name = decodeURIComponent(part.slice(0, equals))
      // As browsers write it: a space is a plus.
      const value = decodeURIComponent(part.slice(equals + 1).replace(/\+/g, ' '))
      if (name !== '__proto__' && !hasOwn(query, name)) query[name] = value
    } catch (_) {
      // Not UTF-8: as if it were not there.
    }
  })
  return query
}
