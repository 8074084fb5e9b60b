import { hasOwn } from '../../core/config/interpret.ts'
import {
  LIMITED_ENTRY,
  type Limited,
  PLANS_ENTRY,
  PROGRESS_ENTRY,
} from '../../core/config/record.ts'
import { setNamed } from '../../core/config/replace.ts'
import type { Client, Policy, Problem } from '../../core/config/shapes.ts'
import {
  type ClientsValidation,
  endClientsValidation,
  startClientsValidation,
  validateMoreClients,
  validatePolicy,
} from '../../core/config/validate.ts'
import { noteLimited } from '../../core/metrics/limited.ts'
import { giveWay } from '../giveway.ts'
import { readDocument, stampFiles } from './files.ts'
import { type Portion, readPortion } from './portions.ts'
import {
  countKeys,
  listHashes,
  markOf,
  publishClient,
  publishPolicy,
  putFirst,
  removeStale,
} from './publish.ts'

/**
 * A load of the files that may take several ticks: njs ends a periodic handler that still runs when
 * its next turn comes. First every client is checked, then all are written, then what is in no file
 * any more is removed; nothing is written before all is checked.
 */
export type Progress = {
  /** Of the files that are being loaded; another one begins anew. */
  stamp: string
  phase: 'check' | 'write' | 'sweep' | 'done'
  /** policy.json has been checked: with thousands of plans that alone takes longer than a tick. */
  isPolicyChecked: boolean
  /** Where the next portion of clients.json begins, in bytes. */
  offset: number
  clients: number
  keys: number
  /** Keys that stand under two clients, which the check of a portion alone cannot see. */
  duplicates: number
  problems: Problem[]
  /** What is wrong, but not with the files: they are in force. */
  notices: Problem[]
  /** Whose limits and budgets the metrics tell. */
  limited: Limited[]
  /** How many clients have each plan. */
  plans: { [name: string]: number }
  /** Milliseconds since 1970. */
  started: number
}

/** Clients that are handled in one go, 4 to 10 ms, before the requests get their turn. */
const SLICE_CLIENTS = 100

/** How long one tick works; the rest of the half second is for what takes longer. */
const TICK_MS_MAX = 300

/** A check of policy.json that takes longer is not made again at the next tick. */
const POLICY_MS_KEPT = 50

/** The sweep is not divided over ticks: it waits for a tick that has done no more than this. */
const SWEEP_AFTER_MS_MAX = 100

/** Keys that the sweep looks at in one go, a few ms. */
const SLICE_KEYS = 2000

/** Goes on with a load as far as the tick that began then reaches. Keeps its progress in the zone. */
export async function continueLoad(
  zone: NgxSharedDict<string>,
  dir: string,
  progress: Progress,
  beganMs: number,
): Promise<void> {
  const wasChecked = progress.isPolicyChecked
  const policy = readPolicy(dir, progress)
  if (!policy) return
  // As a rule it takes a millisecond, and a zone that is full has no room for one entry more.
  const hasTaken = Date.now() - beganMs > POLICY_MS_KEPT
  if (!wasChecked && hasTaken) zone.set(PROGRESS_ENTRY, JSON.stringify(progress))
  const validation = startClientsValidation({ version: 1, clients: {} }, policy)
  while (progress.phase !== 'done' && progress.phase !== 'sweep' && isEarly(beganMs, TICK_MS_MAX)) {
    const portion = readClients(dir, progress)
    if (!portion || isOutdated(dir, progress)) return
    if (progress.phase === 'check') await checkPortion(portion, progress, validation, policy)
    else await writePortion(zone, portion, progress, policy)
    step(zone, progress, portion)
  }
  if (progress.phase === 'sweep' && isEarly(beganMs, SWEEP_AFTER_MS_MAX)) {
    await sweep(zone, progress)
    publishPolicy(zone, policy)
    putFirst(zone, LIMITED_ENTRY, JSON.stringify(progress.limited))
    putFirst(zone, PLANS_ENTRY, JSON.stringify(progress.plans))
    progress.phase = 'done'
  }
}

function isEarly(beganMs: number, spanMs: number): boolean {
  return Date.now() - beganMs < spanMs
}

/**
 * Whether a file has changed since the load began. What was read then is not what was checked, and
 * must not be written; the next tick begins anew.
 */
function isOutdated(dir: string, progress: Progress): boolean {
  return stampFiles(dir) !== progress.stamp
}

function readPolicy(dir: string, progress: Progress): Policy | null {
  try {
    const policy = readDocument(`${dir}/policy.json`)
    if (isOutdated(dir, progress)) return null
    if (progress.isPolicyChecked) return policy as Policy
    const problems = validatePolicy(policy)
    if (problems.length === 0) {
      progress.isPolicyChecked = true
      return policy as Policy
    }
    problems.forEach((problem) => {
      progress.problems.push({ path: `policy.json: ${problem.path}`, message: problem.message })
    })
  } catch (error) {
    progress.problems.push({ path: 'policy.json', message: (error as Error).message })
  }
  progress.phase = 'done'
  return null
}

function readClients(dir: string, progress: Progress): Portion | null {
  try {
    return readPortion(`${dir}/clients.json`, progress.offset)
  } catch (error) {
    if (isOutdated(dir, progress)) return null
    progress.problems.push({ path: 'clients.json', message: (error as Error).message })
    progress.phase = 'done'
    return null
  }
}

async function checkPortion(
  portion: Portion,
  progress: Progress,
  validation: ClientsValidation,
  policy: Policy,
): Promise<void> {
  let found: Problem[] = []
  // Not by the frame itself: that of a file which says `null` is null.
  if (progress.offset === 0) found = startClientsValidation(portion.frame, policy).problems
  const names = Object.keys(portion.clients)
  for (let i = 0; i < names.length; i += SLICE_CLIENTS) {
    validateMoreClients(validation, portion.clients, names.slice(i, i + SLICE_CLIENTS))
    await giveWay()
  }
  found = found.concat(endClientsValidation(validation))
  validation.problems.length = 0
  found.forEach((problem) => {
    progress.problems.push({ path: `clients.json: ${problem.path}`, message: problem.message })
  })
}

async function writePortion(
  zone: NgxSharedDict<string>,
  portion: Portion,
  progress: Progress,
  policy: Policy,
): Promise<void> {
  const names = Object.keys(portion.clients)
  const mark = markOf(progress.started)
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as string
    const client = portion.clients[name] as Client
    progress.keys += client.keys.length
    noteLimited(progress.limited, name, client, policy)
    if (client.plan !== undefined) countPlan(progress.plans, client.plan)
    try {
      progress.duplicates += publishClient(zone, name, client, policy, mark)
    } catch (_) {
      // The zone is full. What no file has any more goes now, and what the load comes to later comes
      // in again; when that is not enough, the second failure ends the load.
      await removeAllStale(zone, mark)
      progress.duplicates += publishClient(zone, name, client, policy, mark)
    }
    if (i % SLICE_CLIENTS === SLICE_CLIENTS - 1) await giveWay()
  }
  progress.clients += names.length
}

function countPlan(plans: Progress['plans'], name: string): void {
  setNamed(plans, name, (hasOwn(plans, name) ? (plans[name] as number) : 0) + 1)
}

/** Moves on to the next portion or phase. After a problem there is nothing left to do. */
function step(zone: NgxSharedDict<string>, progress: Progress, portion: Portion): void {
  progress.offset = portion.isLast ? 0 : portion.next
  if (progress.problems.length > 0) progress.phase = 'done'
  else if (portion.isLast) progress.phase = progress.phase === 'check' ? 'write' : 'sweep'
  zone.set(PROGRESS_ENTRY, JSON.stringify(progress))
}

/** Removes the keys that are in no file any more. Seldom: revoked keys stay in the file. */
async function sweep(zone: NgxSharedDict<string>, progress: Progress): Promise<void> {
  if (progress.duplicates > 0) {
    const message = `${progress.duplicates} keys stand under two clients: run tollgate check`
    progress.notices.push({ path: 'clients.json', message })
  }
  if (countKeys(zone) !== progress.keys - progress.duplicates) {
    await removeAllStale(zone, markOf(progress.started))
  }
}

async function removeAllStale(zone: NgxSharedDict<string>, mark: string): Promise<void> {
  const hashes = listHashes(zone)
  for (let i = 0; i < hashes.length; i++) {
    removeStale(zone, hashes[i] as string, mark)
    if (i % SLICE_KEYS === SLICE_KEYS - 1) await giveWay()
  }
}
