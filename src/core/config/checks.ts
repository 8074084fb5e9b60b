import { parseBlock } from '../admit/address.ts'
import { isObject, type Run, report } from './interpret.ts'
import { ADDRESS_CHARS_MAX, LIST_MAX } from './schema.ts'

/*
 * What the schemas cannot say of a plan, a client or the tokens: each reports where the walk stands.
 */

/** Reports ids and hashes of tokens that stand twice. */
export function checkAdmins(run: Run, admins: unknown): void {
  if (!Array.isArray(admins)) return
  const places: { [value: string]: number } = {}
  run.place.push('admins', 0)
  admins.forEach((admin: unknown, i) => {
    run.place[1] = i
    const fields: ('id' | 'sha256')[] = ['id', 'sha256']
    fields.forEach((field) => {
      const value = isObject(admin) ? admin[field] : undefined
      if (typeof value !== 'string') return
      const first = places[`${field}.${value}`]
      if (first === undefined) {
        places[`${field}.${value}`] = i
        return
      }
      run.place.push(field)
      report(run, `Stands at admins[${first}] already; remove one of the two`)
      run.place.pop()
    })
  })
  run.place.length = 0
}

/** Reports addresses that are none. */
export function checkAddresses(run: Run, grant: unknown): void {
  const addresses = isObject(grant) ? grant['addresses'] : undefined
  // The schema has refused what is longer.
  if (!Array.isArray(addresses) || addresses.length > LIST_MAX) return
  run.place.push('addresses', 0)
  for (let i = 0; i < addresses.length; i++) {
    run.place[run.place.length - 1] = i
    const address: unknown = addresses[i]
    if (typeof address !== 'string' || address.length > ADDRESS_CHARS_MAX) continue
    if (!parseBlock(address)) {
      report(run, 'Must be an address or a CIDR block such as 10.0.0.0/8 or 2001:db8::/32')
    }
  }
  run.place.pop()
  run.place.pop()
}

/** Reports a salt that could not be made: without it the prefix cache would not be apart. */
export function checkSalt(run: Run, grant: unknown, hasSecret: boolean): void {
  if (hasSecret || !isObject(grant) || grant['cacheSalt'] !== true) return
  run.place.push('cacheSalt')
  report(run, 'Needs cacheSaltSecret in policy.json: any random text of 16 characters or more')
  run.place.pop()
}
