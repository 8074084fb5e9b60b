import type { ProblemBody } from '../../core/admin/types.ts'
import type { Problem } from '../../core/config/shapes.ts'
import type { FileProblem } from '../store/source.ts'

/** What the admin API says when it refuses; of what stands there instead of it, nothing is sure. */
export type RemoteProblem = Partial<ProblemBody>

const TOKEN = 'tollgate admin token create NAME --role'

/** The reason, and the fix where the reason does not name it, for a person at another machine. */
export function describeProblem(url: string, method: string, problem: RemoteProblem): string {
  const detail = problem.detail || problem.title || 'it does not say why'
  switch (nameOf(problem)) {
    case 'unauthorized':
      return (
        `The admin API at ${url} does not take the token: it is unknown, expired or revoked. Make ` +
        `another on its host: ${TOKEN} ${method === 'GET' ? 'read' : 'write'}`
      )
    case 'read-role':
      return `The token may only read. This needs one that may write: ${TOKEN} write`
    case 'read-only':
      return (
        `The admin API at ${url} may not write the configuration. Change it on its host, or run ` +
        'there: tollgate admin enable'
      )
    case 'unknown-key':
      return `${detail}; see: tollgate key list`
    default:
      return detail
  }
}

/** `unknown-client` of `/problems/unknown-client`; empty when it has none. */
export function nameOf(problem: RemoteProblem): string {
  return /^\/problems\/([a-z0-9-]+)$/.exec(problem.type ?? '')?.[1] ?? ''
}

/** `clients.json: clients.app.plan`, as the gate says it, as the file and the path in it. */
export function locate({ path, message }: Problem): FileProblem {
  const parts = /^((?:policy|clients)\.json)(?:: ?(.*))?$/.exec(path)
  if (parts) return { file: parts[1] ?? '', path: parts[2] ?? '', message }
  return { file: path.startsWith('clients') ? 'clients.json' : 'policy.json', path, message }
}
