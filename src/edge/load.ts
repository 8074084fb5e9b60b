import { PROGRESS_ENTRY } from '../core/record.ts'
import type { Client, Policy, Problem } from '../core/shapes.ts'
import {
  type ClientsValidation,
  startClientsValidation,
  validateMoreClients,
  validatePolicy,
} from '../core/validate.ts'
import { readDocument } from './files.ts'
import { type Portion, readPortion } from './portions.ts'
import { countKeys, listHashes, publishClient, publishPolicy } from './publish.ts'

/**
 * A load of the files that may take several ticks: njs ends a periodic handler that still runs when
 * its next turn comes. First every client is checked, then all are written, then what is in no file
 * any more is removed; nothing is written before all is checked.
 */
export type Progress = {
  /** Of the files that are being loaded; another one begins anew. */
  stamp: string
  phase: 'check' | 'write' | 'sweep' | 'done'
  /** Where the next portion of clients.json begins, in bytes. */
  offset: number
  clients: number
  keys: number
  problems: Problem[]
  /** What is wrong, but not with the files: they are in force. */
  notices: Problem[]
  /** Milliseconds since 1970. */
  started: number
}

/** Clients that are handled in one go, 2 to 5 ms, before the requests get their turn. */
const SLICE_CLIENTS = 50

/** How long one tick works; the rest of the second is for what takes longer than expected. */
const TICK_MS_MAX = 700

/** Goes on with a load as far as one tick reaches. Keeps its progress in the zone. */
export async function continueLoad(
  zone: NgxSharedDict<string>,
  dir: string,
  progress: Progress,
): Promise<void> {
  const deadlineMs = Date.now() + TICK_MS_MAX
  const policy = readPolicy(dir, progress)
  if (!policy) return
  const validation = startClientsValidation({ version: 1, clients: {} }, policy)
  while (progress.phase !== 'done' && progress.phase !== 'sweep' && Date.now() < deadlineMs) {
    const portion = readClients(dir, progress)
    if (!portion) return
    if (progress.phase === 'check') await checkPortion(portion, progress, validation, policy)
    else await writePortion(zone, portion, progress, policy)
    step(zone, progress, portion)
  }
  if (progress.phase === 'sweep') {
    await sweep(zone, dir, progress)
    publishPolicy(zone, policy)
    progress.phase = 'done'
  }
}

function readPolicy(dir: string, progress: Progress): Policy | null {
  try {
    const policy = readDocument(`${dir}/policy.json`)
    const problems = validatePolicy(policy)
    if (problems.length === 0) return policy as Policy
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
  if (portion.frame !== null) found = startClientsValidation(portion.frame, policy).problems
  const names = Object.keys(portion.clients)
  for (let i = 0; i < names.length; i += SLICE_CLIENTS) {
    validateMoreClients(validation, portion.clients, names.slice(i, i + SLICE_CLIENTS))
    await giveWay()
  }
  found = found.concat(validation.problems)
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
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as string
    progress.keys += publishClient(zone, name, portion.clients[name] as Client, policy)
    if (i % SLICE_CLIENTS === SLICE_CLIENTS - 1) await giveWay()
  }
  progress.clients += names.length
}

/** Moves on to the next portion or phase. After a problem there is nothing left to do. */
function step(zone: NgxSharedDict<string>, progress: Progress, portion: Portion): void {
  progress.offset = portion.isLast ? 0 : portion.next
  if (progress.problems.length > 0) progress.phase = 'done'
  else if (portion.isLast) progress.phase = progress.phase === 'check' ? 'write' : 'sweep'
  zone.set(PROGRESS_ENTRY, JSON.stringify(progress))
}

/** Removes the keys that are in no file any more. Seldom: revoked keys stay in the file. */
async function sweep(zone: NgxSharedDict<string>, dir: string, progress: Progress): Promise<void> {
  const count = countKeys(zone)
  if (count < progress.keys) {
    const message = `${progress.keys - count} keys stand under two clients: run tollgate check`
    progress.notices.push({ path: 'clients.json', message })
  }
  if (count === progress.keys) return
  const known: { [hash: string]: boolean } = {}
  let portion: Portion
  let offset = 0
  do {
    portion = readPortion(`${dir}/clients.json`, offset)
    noteHashes(portion, known)
    offset = portion.next
    await giveWay()
  } while (!portion.isLast)
  listHashes(zone).forEach((hash) => {
    if (!known[hash]) zone.delete(hash)
  })
}

function noteHashes(portion: Portion, known: { [hash: string]: boolean }): void {
  Object.keys(portion.clients).forEach((name) => {
    const client = portion.clients[name] as Client
    client.keys.forEach((key) => {
      known[key.sha256] = true
    })
  })
}

/** Lets the worker serve what waits. */
function giveWay(): Promise<void> {
  return new Promise<void>((resolve) => {
    setTimeout(resolve, 0)
  })
}
