import fs from 'fs'
import { findFault } from '../../core/admin/json.ts'
import { problem } from '../../core/admin/problems.ts'
import type { Reply } from '../../core/admin/types.ts'
import { type LoadState, SOUND_ENTRY, STAMP_ENTRY, STATE_ENTRY } from '../../core/config/record.ts'
import { replace } from '../../core/config/replace.ts'
import type { Policy, Problem } from '../../core/config/shapes.ts'
import {
  endClientsValidation,
  endPolicyValidation,
  startClientsValidation,
  startPolicyValidation,
  validateMoreClients,
  validateNextEntry,
} from '../../core/config/validate.ts'
import { clientsZone } from '../gate/registry.ts'
import { giveWay } from '../giveway.ts'
import type { Book } from './book.ts'
import { exists, stampFiles } from './files.ts'

/** Clients that are checked in one go, 4 to 10 ms. */
const SLICE_CLIENTS = 100

/** How long a policy is looked at before the others get their turn. */
const BUSY_MS_MAX = 5

/** A large file is checked by the housekeeping alone, in portions; it takes 10 s for 100,000 clients. */
const LOAD_WAIT_MS_MAX = 30000
const LOAD_POLL_MS = 100

/**
 * Waits until a large clients.json is loaded, since what is not known to be right is not to be changed.
 * A small one is checked when it is read.
 */
export async function awaitLoad(dir: string, isLarge: boolean): Promise<Reply | null> {
  const untilMs = Date.now() + LOAD_WAIT_MS_MAX
  while (isLarge && !isSound(dir)) {
    const problems = loadProblems(dir)
    if (problems) return brokenReply(problems)
    if (Date.now() > untilMs) return beingLoaded()
    await new Promise<void>((resolve) => {
      setTimeout(resolve, LOAD_POLL_MS)
    })
  }
  return null
}

export function beingLoaded(): Reply {
  const reply = problem('locked', 'clients.json is being loaded: try again in some seconds')
  reply.headers = { 'Retry-After': '5' }
  return reply
}

/** Whether the files as they are have been checked: by the housekeeping, or here. */
export function isSound(dir: string): boolean {
  const stamp = stampFiles(dir)
  const zone = clientsZone()
  if (zone.get(SOUND_ENTRY) === stamp) return true
  return zone.get(STAMP_ENTRY) === stamp && stateProblems().length === 0
}

/**
 * Notes that the files as they are have been checked, or come out of a change to such. `before` is their
 * stamp when they were checked: what was not changed must still be the same.
 */
export function noteSound(dir: string, before: string, changed: 'policy' | 'clients' | null): void {
  const stamp = stampFiles(dir)
  const was = before.split(' ')
  const is = stamp.split(' ')
  if (changed !== 'policy' && was[0] !== is[0]) return
  if (changed !== 'clients' && was[1] !== is[1]) return
  try {
    clientsZone().set(SOUND_ENTRY, stamp)
  } catch (_) {
    // The zone is full: they are checked again.
  }
}

/**
 * Checks the files before one is written anew: what is wrong in them is for people to mend, and would get
 * lost with what is changed. Of a small file also that no name stands twice, which JSON.parse hides.
 */
export async function checkFiles(dir: string, book: Book, policy: Policy): Promise<Reply | null> {
  const stamp = stampFiles(dir)
  if (clientsZone().get(SOUND_ENTRY) === stamp) return null
  const found = await checkPolicy(policy)
  const policyProblems = within('policy.json', found)
  let problems = checkText('policy.json', dir).concat(policyProblems)
  if (book.isWhole) {
    const found = await checkClients(book, policy)
    problems = problems.concat(checkText('clients.json', dir)).concat(found)
  }
  if (problems.length > 0) return brokenReply(problems)
  if (book.isWhole) noteSound(dir, stamp, null)
  return null
}

/** All that is wrong with a policy, which may have thousands of plans, groups and prices. */
export async function checkPolicy(policy: Policy): Promise<Problem[]> {
  const validation = startPolicyValidation(policy)
  let sinceMs = Date.now()
  while (validateNextEntry(validation)) {
    if (Date.now() - sinceMs < BUSY_MS_MAX) continue
    await giveWay()
    sinceMs = Date.now()
  }
  return endPolicyValidation(validation)
}

/** All that is wrong with the clients of a small file under a policy. */
export async function checkClients(book: Book, policy: Policy): Promise<Problem[]> {
  const clients = book.document.clients
  const frame = replace(book.document, { clients: {} })
  const validation = startClientsValidation(frame, policy)
  const names = Object.keys(clients)
  for (let i = 0; i < names.length; i += SLICE_CLIENTS) {
    validateMoreClients(validation, clients, names.slice(i, i + SLICE_CLIENTS))
    if (i > 0) await giveWay()
  }
  return within('clients.json', endClientsValidation(validation))
}

export function brokenReply(problems: Problem[]): Reply {
  const first = problems[0]
  const what = first ? `${first.path}: ${first.message}` : 'see /status'
  return problem('broken-configuration', `It has to be mended by hand: ${what}`, problems)
}

function checkText(file: string, dir: string): Problem[] {
  if (!exists(`${dir}/${file}`)) return []
  const fault = findFault(fs.readFileSync(`${dir}/${file}`, 'utf8'))
  return fault === null ? [] : [{ path: file, message: `The file ${fault}` }]
}

/** What the housekeeping has found wrong with the files as they are; null when it has not. */
function loadProblems(dir: string): Problem[] | null {
  if (clientsZone().get(STAMP_ENTRY) !== stampFiles(dir)) return null
  const problems = stateProblems()
  return problems.length > 0 ? problems : null
}

function stateProblems(): Problem[] {
  const state = JSON.parse(clientsZone().get(STATE_ENTRY) || '{}') as Partial<LoadState>
  return state.problems || []
}

function within(file: string, problems: Problem[]): Problem[] {
  return problems.map((one) => ({ path: `${file}: ${one.path}`, message: one.message }))
}
