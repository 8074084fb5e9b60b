import type { Command } from 'commander'
import { keyState } from '../../core/config/edits.ts'
import type { Client, Key } from '../../core/config/shapes.ts'
import { contextOf } from '../context.ts'
import { parseExpiry, parseGrace } from '../duration.ts'
import { count, formatTable, print, Refused } from '../output.ts'
import { createSecret } from '../secret.ts'
import { verifyKey } from './verify.ts'

type NewKeyOptions = { expires?: string; note?: string }

/** Registers `tollgate key …`. */
export function registerKey(program: Command): void {
  const key = program.command('key').description('make, list, check, rotate and revoke keys')
  key
    .command('create <client>')
    .description('make a key and print it, once; the client is made too when it is new')
    .option('--plan <plan>', 'plan of a new client (default: standard, if there is one)')
    .option('--expires <when>', 'a time from now (90d, 24h), or a date and time (RFC 3339)')
    .option('--note <text>', 'a note for people')
    .action(createKey)
  key
    .command('list [client]')
    .description('list the keys of all clients, or of one')
    .action(listKeys)
  key.command('show <id>').description('show one key by its public id').action(showKey)
  key
    .command('verify <key>')
    .description('check a key: its format and checksum, then whether it is known, and live')
    .addHelpText(
      'after',
      '\nPrefer "-", which reads the key from standard input: arguments stand in the process list and\nthe shell history.',
    )
    .action(verifyKey)
  key.command('revoke <id>').description('refuse a key from now on, for good').action(revoke)
  key
    .command('rotate <client>')
    .description('make a new key, and let the other live keys of the client expire after a grace')
    .option('--grace <time>', 'how long the old keys still work (24h, 30m, 0s)', '24h')
    .option('--expires <when>', 'when the new key expires: 90d, 24h, or a date and time')
    .option('--note <text>', 'a note for people')
    .action(rotate)
}

async function createKey(
  client: string,
  options: NewKeyOptions & { plan?: string },
  command: Command,
): Promise<void> {
  const { store, isJson, nowMs } = contextOf(command)
  const { id, key, sha256 } = createSecret()
  const request = { client, id, sha256, nowMs, ...readOptions(options, nowMs) }
  const added = await store.addKey(request, options.plan)
  const expires = added.key.expires ?? null
  const whose = `${added.isNewClient ? 'new client' : 'client'} "${client}"`
  const plan = added.client.plan ? ` (plan ${added.client.plan})` : ''
  const disabled = added.client.disabled
    ? `\nThe client is disabled: tollgate client enable ${client}`
    : ''
  const head = `Created key ${id} for ${whose}${plan}, ${describeExpiry(expires)}.${disabled}`
  print(isJson, { client, id, key, expires }, `${head}\n\n  ${key}\n\n${HANDING_OVER}`)
}

const HANDING_OVER = `It is shown this once; only its hash is stored. The application sends it as
  Authorization: Bearer <key>     (or x-api-key: <key>)
nginx takes it within a second, without a reload.`

async function rotate(
  client: string,
  options: NewKeyOptions & { grace: string },
  command: Command,
): Promise<void> {
  const { store, isJson, nowMs } = contextOf(command)
  const graceMs = parseGrace(options.grace)
  const { id, key, sha256 } = createSecret()
  const request = { client, id, sha256, nowMs, ...readOptions(options, nowMs) }
  const rotated = await store.rotateKeys(request, graceMs)
  const expires = rotated.key.expires ?? null
  const expiring = rotated.expiring.map((old) => ({ id: old.id, expires: old.expires ?? null }))
  const old = expiring.map((one) => `  ${one.id} works until ${one.expires}\n`).join('')
  print(
    isJson,
    { client, id, key, expires, expiring },
    `Created key ${id} for client "${client}", ${describeExpiry(expires)}.\n${old}\n  ${key}\n\n${HANDING_OVER}`,
  )
}

async function revoke(id: string, _options: object, command: Command): Promise<void> {
  const { store, isJson, nowMs } = contextOf(command)
  const { name, key, wasRevoked } = await store.revokeKey(id, nowMs)
  print(
    isJson,
    { client: name, id: key.id, revoked: key.revoked },
    wasRevoked
      ? `Key ${id} of client "${name}" was revoked before, at ${key.revoked}.`
      : `Revoked key ${id} of client "${name}"; nginx refuses it within a second.`,
  )
}

async function listKeys(
  only: string | undefined,
  _options: object,
  command: Command,
): Promise<void> {
  const { store, isJson, nowMs } = contextOf(command)
  const { clients } = await store.load()
  if (only !== undefined && !Object.hasOwn(clients.clients, only)) {
    throw new Refused(`No client "${only}"; see: tollgate client list`)
  }
  const keys = Object.entries(clients.clients)
    .filter(([name]) => only === undefined || name === only)
    .flatMap(([name, client]) =>
      client.keys.map((key) => ({ client: name, ...describeKey(client, key, nowMs) })),
    )
  const rows = keys.map((key) => [
    key.id,
    key.client,
    key.state,
    key.created,
    key.expires ?? '-',
    key.note,
  ])
  const table = formatTable(['ID', 'CLIENT', 'STATE', 'CREATED', 'EXPIRES', 'NOTE'], rows)
  print(isJson, { keys }, keys.length > 0 ? table : 'No keys yet: tollgate key create CLIENT')
}

async function showKey(id: string, _options: object, command: Command): Promise<void> {
  const { store, isJson, nowMs } = contextOf(command)
  const found = await store.findKey(id)
  const shown = { client: found.name, ...describeKey(found.client, found.key, nowMs) }
  const rows = Object.entries(shown).map(([name, value]) => [name, String(value ?? '-')])
  const siblings = count(found.client.keys.length, 'key')
  print(isJson, shown, `${formatTable([], rows)}\nThe client has ${siblings} in all.`)
}

/** A key as it is shown: without its hash, which nobody needs to see. */
export function describeKey(client: Client, key: Key, nowMs: number) {
  return {
    id: key.id,
    state: keyState(client, key, nowMs),
    created: key.created,
    expires: key.expires ?? null,
    revoked: key.revoked ?? null,
    note: key.note ?? '',
  }
}

function readOptions(options: NewKeyOptions, nowMs: number) {
  const expiresMs = options.expires === undefined ? undefined : parseExpiry(options.expires, nowMs)
  return { expiresMs, note: options.note }
}

function describeExpiry(expires: string | null): string {
  return expires === null ? 'which does not expire' : `which expires at ${expires}`
}
