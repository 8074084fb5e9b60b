import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { formatClients } from '../../core/config/clientsfile.ts'
import type { Refused as EditRefused } from '../../core/config/edits.ts'
import { isObject } from '../../core/config/interpret.ts'
import { defaultScopes } from '../../core/config/record.ts'
import type { Clients, Policy, Problem } from '../../core/config/shapes.ts'
import { validateClients, validatePolicy } from '../../core/config/validate.ts'
import { parseZone } from '../../core/time.ts'
import { count, Refused } from '../output.ts'
import { writeAtomically } from './atomic.ts'
import { withLock } from './lock.ts'
import { changePolicy } from './policyfile.ts'
import { type FileProblem, findDuplicates, locate, parseJson } from './source.ts'
import { findKind, readTrusted } from './trust.ts'

const CLIENTS_FILE = 'clients.json'
const POLICY_FILE = 'policy.json'

/** What a folder starts with: one plan, with the scopes that every client has anyway. */
export const FIRST_POLICY: Policy = {
  version: 1,
  plans: { standard: { scopes: defaultScopes() } },
}

/** Both files of a folder as they are, with all that is wrong in them. */
export type Inspection = {
  clients: Clients
  policy: Policy
  problems: FileProblem[]
  missing: string[]
}

/** One file: its text (null when there is none), and its document when it could be parsed. */
type Source = { text: string | null; document: unknown; problems: FileProblem[] }

/** Refuses when the folder is not there, and says what to do. */
export async function requireDir(dir: string): Promise<void> {
  const found = await stat(dir).catch(() => null)
  if (found?.isDirectory()) return
  const reason = found ? `${dir} is no folder` : `There is no folder ${dir}`
  throw new Refused(`${reason}; run tollgate install, make it with mkdir, or name one with --dir`)
}

/** Reads both files and collects all their problems. A file that is not there counts as empty. */
export async function inspect(dir: string): Promise<Inspection> {
  await requireDir(dir)
  const policy = await readSource(dir, POLICY_FILE, { version: 1 })
  const clients = await readSource(dir, CLIENTS_FILE, { version: 1, clients: {} })
  const isPolicyParsed = isObject(policy.document)
  const problems = [
    ...policy.problems,
    ...locateIn(POLICY_FILE, policy, validatePolicy),
    ...clients.problems,
    // Plans are not looked up in a policy that nobody can read.
    ...locateIn(CLIENTS_FILE, clients, (document) =>
      validateClients(document, isPolicyParsed ? (policy.document as Policy) : null),
    ),
  ]
  const missing = [
    ...(policy.text === null ? [POLICY_FILE] : []),
    ...(clients.text === null ? [CLIENTS_FILE] : []),
  ]
  return {
    // Only what has no problems is used as these types.
    clients: clients.document as Clients,
    policy: policy.document as Policy,
    problems,
    missing,
  }
}

/** Reads both files, and refuses when anything is wrong in them. */
export async function load(dir: string): Promise<{ clients: Clients; policy: Policy }> {
  const { clients, policy, problems } = await inspect(dir)
  if (problems.length > 0) {
    const many = count(problems.length, 'problem')
    throw new Refused(`Cannot use the files in ${dir}: ${many}, to be fixed by hand`, problems)
  }
  return { clients, policy }
}

/**
 * Where days of the policy begin, minutes east of UTC. For commands that only read the ledger, which is to be
 * read also where there is no policy, or a broken one: then they are those of UTC.
 */
export async function readZone(dir: string): Promise<number> {
  const source = await readSource(dir, POLICY_FILE, {}).catch(() => null)
  const zone = isObject(source?.document) ? source.document['timeZone'] : undefined
  return typeof zone === 'string' ? (parseZone(zone) ?? 0) : 0
}

/** Edits clients.json under its lock. Nothing is written when the edit refuses or changes nothing. */
export async function editClients<T extends { document: Clients }>(
  dir: string,
  edit: (clients: Clients, policy: Policy) => T | EditRefused,
): Promise<T> {
  await requireDir(dir)
  const path = join(dir, CLIENTS_FILE)
  return withLock(path, async (assertHeld) => {
    const { clients, policy } = await load(dir)
    const result = accept(edit(clients, policy))
    if (result.document === clients) return result
    assertValid(path, validateClients(result.document, policy))
    assertHeld()
    if ((await findKind(path)) === null) await createPolicy(dir)
    await writeAtomically(path, formatClients(result.document))
    return result
  })
}

/** Writes clients.json anew in the layout of the tools, which nginx reads in portions. */
export async function rewriteClients(dir: string): Promise<void> {
  const path = join(dir, CLIENTS_FILE)
  await withLock(path, async (assertHeld) => {
    const { clients } = await load(dir)
    assertHeld()
    await writeAtomically(path, formatClients(clients))
  })
}

/**
 * Writes the first policy.json of a folder, where there is none. nginx refuses to load without one,
 * and one that got lost is not made anew by itself: it would open the routes that it had closed.
 */
export async function createPolicy(dir: string): Promise<void> {
  const path = join(dir, POLICY_FILE)
  if ((await findKind(path)) !== null) return
  await writeAtomically(path, `${JSON.stringify(FIRST_POLICY, null, 2)}\n`)
}

/** Edits one plan of policy.json under its lock, and leaves the rest of the text as people wrote it. */
export function editPlan<T extends { policy: Policy }>(
  dir: string,
  name: string,
  edit: (policy: Policy) => T | EditRefused,
): Promise<T> {
  return editPolicy(dir, ['plans', name], edit)
}

/** Edits the tokens of the admin API in policy.json in the same way. */
export function editAdmins<T extends { policy: Policy }>(
  dir: string,
  edit: (policy: Policy) => T | EditRefused,
): Promise<T> {
  return editPolicy(dir, ['admins'], edit)
}

async function editPolicy<T extends { policy: Policy }>(
  dir: string,
  place: string[],
  edit: (policy: Policy) => T | EditRefused,
): Promise<T> {
  await requireDir(dir)
  const path = join(dir, POLICY_FILE)
  return withLock(path, async (assertHeld) => {
    const { policy } = await load(dir)
    const result = accept(edit(policy))
    if (result.policy === policy) return result
    assertValid(path, validatePolicy(result.policy))
    const { text } = await readSource(dir, POLICY_FILE, {})
    assertHeld()
    await writeAtomically(path, changePolicy(text, policy, result.policy, place))
    return result
  })
}

/** What an edit gives; refuses when it does. */
export function accept<T extends object>(result: T | EditRefused): T {
  if ('refused' in result) throw new Refused(result.refused)
  return result
}

/** The last stand: an edit that let something through must not reach the file. */
function assertValid(path: string, problems: Problem[]): void {
  const first = problems[0]
  if (first) throw new Refused(`Will not write ${path}: ${first.path}: ${first.message}`)
}

async function readSource(dir: string, file: string, absent: object): Promise<Source> {
  const text = await readTrusted(join(dir, file))
  if (text === null) return { text, document: absent, problems: [] }
  const parsed = parseJson(file, text)
  if ('problem' in parsed) return { text, document: null, problems: [parsed.problem] }
  return { text, document: parsed.document, problems: findDuplicates(file, text) }
}

function locateIn(
  file: string,
  source: Source,
  validate: (document: unknown) => Problem[],
): FileProblem[] {
  // What could not be parsed was reported as that.
  if (source.document === null && source.problems.length > 0) return []
  return locate(file, source.text ?? '', validate(source.document))
}
