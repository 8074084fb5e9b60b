import { findLost } from '../../core/admin/policies.ts'
import { problem } from '../../core/admin/problems.ts'
import type { Reply } from '../../core/admin/types.ts'
import type { Refused } from '../../core/config/edits.ts'
import type { Client, Policy, Problem } from '../../core/config/shapes.ts'
import { type Book, closeBook } from './book.ts'
import { stampFiles } from './files.ts'
import { findLines, type Sought } from './lines.ts'
import { areHeld, type Lock, lostLock, releaseLocks } from './lock.ts'
import { findPlans } from './many.ts'
import { replaceText, whyNotWritable } from './replacement.ts'
import { beingLoaded, checkClients, isSound, noteSound } from './sound.ts'
import { lockSound, openClients, readPolicy, replyTo } from './store.ts'

type Result<T> = T | Refused | Reply
type Edit<T> = (policy: Policy) => Result<T> | Promise<Result<T>>

/** Clients that are told of those that have a plan, or need what goes away. */
const USERS_MAX = 20

/**
 * Edits policy.json. Its lock is taken first and that of clients.json then, so that no client gets a
 * plan that goes away meanwhile.
 */
export async function editPolicy<T extends { policy: Policy }>(
  dir: string,
  edit: Edit<T>,
): Promise<Result<T>> {
  const why = whyNotWritable(dir)
  if (why !== null) return problem('read-only', why)
  const path = `${dir}/policy.json`
  const locks = await lockSound(dir, [path, `${dir}/clients.json`])
  if ('status' in locks) return locks
  try {
    return await editLocked(dir, path, edit, locks)
  } catch (error) {
    return replyTo(path, error)
  } finally {
    releaseLocks(locks)
  }
}

async function editLocked<T extends { policy: Policy }>(
  dir: string,
  path: string,
  edit: Edit<T>,
  locks: Lock[],
): Promise<Result<T>> {
  const stamp = stampFiles(dir)
  const current = readPolicy(dir)
  if ('status' in current) return current
  const result = await edit(current)
  if (!('policy' in result)) return result
  const problems = await checkUnder(dir, current, result.policy)
  if ('status' in problems) return problems
  if (problems.length > 0) {
    const first = problems[0] as Problem
    const detail = `Nothing was changed: ${first.path}: ${first.message}`
    return problem('invalid', detail, problems)
  }
  if (!areHeld(locks)) return lostLock()
  replaceText(path, `${JSON.stringify(result.policy, null, 2)}\n`)
  noteSound(dir, stamp, 'policy')
  return result
}

/** What is wrong with the clients under the next policy. */
export async function checkUnder(
  dir: string,
  current: Policy,
  next: Policy,
): Promise<Problem[] | Reply> {
  const book = openClients(dir)
  if ('status' in book) return book
  try {
    if (book.isWhole) return await checkClients(book, next)
    return isSound(dir) ? await checkLost(book, current, next) : beingLoaded()
  } finally {
    closeBook(book)
  }
}

/** The names of clients that have a plan, some of them. */
export async function usersOf(dir: string, plan: string): Promise<string[] | Reply> {
  const book = openClients(dir)
  if ('status' in book) return book
  try {
    const sought = { texts: [plan], fields: ['plan'] }
    return await namesOf(book, sought, (client) => client.plan === plan)
  } finally {
    closeBook(book)
  }
}

/** Of a large file that was right under the current policy: only what the next one takes away matters. */
async function checkLost(book: Book, current: Policy, next: Policy): Promise<Problem[]> {
  const lost = findLost(current, next)
  const problems: Problem[] = []
  // In one go through the file: hundreds of plans may be lost at once.
  const lines = lost.plans.length > 0 ? await findPlans(book, lost.plans, USERS_MAX) : []
  lines.forEach((line) => {
    const plan = line.client.plan
    if (plan === undefined || lost.plans.indexOf(plan) < 0) return
    const path = `clients.json: clients.${line.name}.plan`
    problems.push({ path, message: `Has the plan ${plan}` })
  })
  if (!lost.isSecretLost) return withMore(problems)
  const sought: Sought = { texts: ['cacheSalt'], fields: 'true' }
  const salted = await namesOf(book, sought, (client) => client.cacheSalt === true)
  salted.forEach((name) => {
    const path = `clients.json: clients.${name}.cacheSalt`
    problems.push({ path, message: 'Needs cacheSaltSecret in policy.json' })
  })
  return withMore(problems)
}

/** Looking for clients ends at the bound: how many more there are is not known. */
function withMore(problems: Problem[]): Problem[] {
  if (problems.length < USERS_MAX) return problems
  return problems.concat([{ path: '', message: `At most ${USERS_MAX} clients are listed` }])
}

async function namesOf(
  book: Book,
  sought: Sought,
  fits: (client: Client) => boolean,
): Promise<string[]> {
  if (book.isWhole) {
    const clients = book.document.clients
    return Object.keys(clients).filter((name) => fits(clients[name] as Client))
  }
  const lines = await findLines(book, null, sought, USERS_MAX, (line) => fits(line.client))
  return lines.map((line) => line.name)
}
