import type { Account } from '../install/accounts.ts'
import type { Directive } from '../install/directives.ts'
import type { Fault } from '../install/fault.ts'
import type { GateSite } from '../install/gatesite.ts'
import type { Nginx } from '../nginx/find.ts'

/** One thing that was looked at, with the fix where something is wrong. */
export type Check = { name: string; level: 'ok' | 'warning' | 'problem'; message: string }

/** What the checks look at. */
export type Installation = {
  nginxDir: string
  configDir: string
  stateDir: string
  configuration: string
  nginx: Nginx
  directives: Directive[]
  site: GateSite
  faults: Fault[]
  workers: Account | null
  nowMs: number
}

export function ok(name: string, message: string): Check {
  return { name, level: 'ok', message }
}

export function warning(name: string, message: string): Check {
  return { name, level: 'warning', message }
}

export function problem(name: string, message: string): Check {
  return { name, level: 'problem', message }
}
