import crypto from 'crypto'
import type { Registry } from '../core/admit.ts'
import type { LockoutRule } from '../core/lockout.ts'
import { LOCKOUT_ENTRY, ROUTES_ENTRY } from '../core/record.ts'

/** The zones of http.conf, as core asks for them. A missing zone throws, and so refuses. */
export function openRegistry(): Registry {
  const clients = clientsZone()
  return {
    routes: clients.get(ROUTES_ENTRY),
    find: findKey,
    lockoutRule: readLockoutRule,
    badKeys: ngx.shared['tollgate_badkeys'] as NgxSharedDict<number>,
  }
}

/** The zone with one record per key, see core/record.ts. */
export function clientsZone(): NgxSharedDict<string> {
  return ngx.shared['tollgate_clients'] as NgxSharedDict<string>
}

function findKey(secret: string): string | undefined {
  const hash = crypto.createHash('sha256').update(secret).digest('hex')
  return clientsZone().get(hash)
}

function readLockoutRule(): LockoutRule {
  return JSON.parse(clientsZone().get(LOCKOUT_ENTRY) || '{}')
}
