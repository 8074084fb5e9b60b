import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { run } from '../nginx/child.ts'
import { type Directive, findAll } from './directives.ts'

/** A user that nginx's workers run as. */
export type Account = { user: string; group: string; uid: number; gid: number; groups: number[] }

/** What a process may want to do with a file, as in its mode. */
const NEED = { read: 4, write: 2, enter: 1 }
export type Need = keyof typeof NEED

/**
 * The user of the workers: the one in nginx.conf, else the one nginx was compiled with. An nginx
 * that an ordinary user starts runs as that user, whose nginx.conf it then is. null when the system
 * does not know the user.
 */
export async function findWorkers(
  command: readonly string[],
  configuration: string,
  directives: readonly Directive[],
): Promise<Account | null> {
  const { uid } = await stat(configuration)
  const passwd = await readTable('/etc/passwd')
  if (uid !== 0) return describe(passwd.find((fields) => Number(fields[2]) === uid))
  const [named, namedGroup] = findAll(directives, 'user')[0]?.args ?? []
  const { stderr } = await run([...command, '-V'], { timeoutMs: 10_000 })
  const user = named ?? /--user=(\S+)/.exec(stderr)?.[1] ?? 'nobody'
  const group = named ? namedGroup : /--group=(\S+)/.exec(stderr)?.[1]
  return describe(
    passwd.find((fields) => fields[0] === user),
    group ?? (named ? user : undefined),
  )
}

async function describe(entry: string[] | undefined, group?: string): Promise<Account | null> {
  const [user = '', , uid, gid] = entry ?? []
  if (user === '') return null
  const groups = await readTable('/etc/group')
  const own = groups.find((fields) => (group ? fields[0] === group : fields[2] === gid))
  const others = groups.filter((fields) => fields[3]?.split(',').includes(user))
  const main = Number(own?.[2] ?? gid)
  return {
    user,
    group: own?.[0] ?? String(gid),
    uid: Number(uid),
    gid: main,
    groups: [main, ...others.map((fields) => Number(fields[2]))],
  }
}

async function readTable(path: string): Promise<string[][]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.split('\n').map((line) => line.split(':'))
}

/**
 * The file or folder that keeps a user from a file: itself, or one of the folders above it, which
 * have to be entered; null when nothing does. ACLs are not looked at.
 */
export async function findObstacle(
  account: Account,
  path: string,
  needs: Need[],
): Promise<string | null> {
  if (account.uid === 0) return null
  if (!(await isAllowed(account, path, needs))) return path
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (!(await isAllowed(account, folder, ['enter']))) return folder
    if (folder === dirname(folder)) return null
  }
}

async function isAllowed(account: Account, path: string, needs: Need[]): Promise<boolean> {
  const found = await stat(path).catch(() => null)
  if (found === null) return false
  const shift = found.uid === account.uid ? 6 : account.groups.includes(found.gid) ? 3 : 0
  const wanted = needs.reduce((bits, need) => bits | NEED[need], 0)
  return ((found.mode >> shift) & wanted) === wanted
}
