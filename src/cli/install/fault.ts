import { basename, dirname } from 'node:path'
import type { Directive } from './directives.ts'
import { findUpstream, hostOf } from './gatesite.ts'

/** What is wrong with a line of a site, and the fix. */
export type Fault = {
  file: string
  line: number
  message: string
  /** The fix needs files of this version: they have to be there first. */
  isForLater?: true
}

export function faultAt({ file, line }: Directive, message: string): Fault {
  return { file, line, message }
}

/** As it is printed. */
export function formatFault({ file, line, message }: Fault): string {
  return `${file}:${line}: ${message}`
}

export function isSame(one: Fault, other: Fault): boolean {
  return formatFault(one) === formatFault(other)
}

/** Whether a line stands in one of our own includes. */
export function isOurs({ file }: Directive): boolean {
  return basename(dirname(file)) === 'tollgate' && file.endsWith('.conf')
}

/** The lines that say, in the place of a proxy_pass, where requests go. */
export function settingLines(url: string, http: readonly Directive[]): string {
  const host = hostOf(url)
  const scheme = url.startsWith('https:') ? ' set $tollgate_scheme https;' : ''
  const isNamed = host.startsWith('$') || findUpstream(http, host) !== null
  if (isNamed) return `set $tollgate_upstream ${host};${scheme}`
  return (
    `set $tollgate_upstream vllm;${scheme} and inside http { }: ` +
    `upstream vllm { server ${host}; keepalive 128; keepalive_timeout 4s; }`
  )
}
