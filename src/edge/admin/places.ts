import type { Places } from '../../core/admin/types.ts'

/** The files of the gate, as the maps of dirs.conf and admin.conf name them. */
export function placesOf(r: NginxHTTPRequest): Places {
  const of = (name: string) => r.variables[name] || ''
  return {
    dir: of('tollgate_dir'),
    stateDir: of('tollgate_state_dir'),
    ledger: of('tollgate_ledger_file'),
    audit: of('tollgate_audit_file'),
  }
}
