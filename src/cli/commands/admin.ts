import { type Command, Option } from 'commander'
import type { Admin, Role } from '../../core/config/shapes.ts'
import { adminState } from '../../core/config/token.ts'
import { localContextOf } from '../context.ts'
import { parseExpiry } from '../duration.ts'
import { addAdmin, revokeAdmin } from '../edits/admins.ts'
import { formatTable, print } from '../output.ts'
import { createToken } from '../secret.ts'
import { editAdmins, load } from '../store/documents.ts'
import { registerSwitches } from './switch.ts'

type TokenOptions = { role: Role; expires?: string; note?: string }

/** Registers `tollgate admin …`. */
export function registerAdmin(program: Command): void {
  const admin = program
    .command('admin')
    .description('who may call the admin API, and whether it may write')
  const token = admin.command('token').description('make, list and revoke tokens of the admin API')
  token
    .command('create <name>')
    .description('make a token and print it, once; the name is for the audit log')
    .addOption(
      new Option('--role <role>', 'what it may: look, or change everything but the tokens')
        .choices(['read', 'write'])
        .makeOptionMandatory(),
    )
    .option('--expires <when>', 'a time from now (90d, 24h), or a date and time (RFC 3339)')
    .option('--note <text>', 'a note for people')
    .action(createAdmin)
  token.command('list').description('list all tokens').action(listAdmins)
  token
    .command('revoke <id>')
    .description('refuse a token from now on, for good, by its public id')
    .action(revoke)
  registerSwitches(admin)
}

const HANDING_OVER = `It is shown this once; only its hash is stored. It is sent as
  Authorization: Bearer <token>     (tollgate --admin URL reads it from TOLLGATE_ADMIN_TOKEN)
The admin API takes it within a second, without a reload.`

async function createAdmin(name: string, options: TokenOptions, command: Command): Promise<void> {
  const { dir, isJson, nowMs } = localContextOf(command)
  const { role, note } = options
  const { id, token, sha256 } = createToken()
  const expiresMs = options.expires === undefined ? undefined : parseExpiry(options.expires, nowMs)
  const request = { id, name, role, sha256, nowMs, expiresMs, note }
  const { admin } = await editAdmins(dir, (policy) => addAdmin(policy, request))
  const expires = admin.expires ?? null
  const end = expires === null ? 'which does not expire' : `which expires at ${expires}`
  const head = `Created token ${id} for "${name}", which may ${describeRole(role)}, ${end}.`
  print(isJson, { id, name, role, token, expires }, `${head}\n\n  ${token}\n\n${HANDING_OVER}`)
}

async function listAdmins(_options: object, command: Command): Promise<void> {
  const { dir, isJson, nowMs } = localContextOf(command)
  const { policy } = await load(dir)
  const tokens = (policy.admins ?? []).map((admin) => describeAdmin(admin, nowMs))
  const rows = tokens.map((one) => [
    one.id,
    one.name,
    one.role,
    one.state,
    one.created,
    one.expires ?? '-',
    one.note,
  ])
  const table = formatTable(['ID', 'NAME', 'ROLE', 'STATE', 'CREATED', 'EXPIRES', 'NOTE'], rows)
  const none = 'No tokens yet: tollgate admin token create NAME --role read|write'
  print(isJson, { tokens }, tokens.length > 0 ? table : none)
}

async function revoke(id: string, _options: object, command: Command): Promise<void> {
  const { dir, isJson, nowMs } = localContextOf(command)
  const { admin, wasRevoked } = await editAdmins(dir, (policy) => revokeAdmin(policy, id, nowMs))
  const { name, revoked } = admin
  print(
    isJson,
    { id, name, revoked },
    wasRevoked
      ? `Token ${id} of "${name}" was revoked before, at ${revoked}.`
      : `Revoked token ${id} of "${name}"; the admin API refuses it within a second.`,
  )
}

/** A token as it is shown: without its hash. */
function describeAdmin(admin: Admin, nowMs: number) {
  return {
    id: admin.id,
    name: admin.name,
    role: admin.role,
    state: adminState(admin, nowMs),
    created: admin.created,
    expires: admin.expires ?? null,
    revoked: admin.revoked ?? null,
    note: admin.note ?? '',
  }
}

function describeRole(role: Role): string {
  return role === 'write' ? 'change everything but the tokens' : 'look at everything'
}
