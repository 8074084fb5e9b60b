import type { Command } from 'commander'
import { Misused } from './output.ts'
import { openRemote } from './remote/remote.ts'
import { parseAdminUrl, readToken } from './remote/target.ts'
import { type Folder, findFolder } from './store/dirs.ts'
import { openFiles } from './store/files.ts'
import type { Store } from './store/store.ts'

/** What every command is run with: the gate, --json, and the time, taken once. */
export type Context = { store: Store; isJson: boolean; nowMs: number }

/** What commands are run with that work on the files of this machine alone. */
export type LocalContext = { folder: Folder; dir: string; isJson: boolean; nowMs: number }

const ADMIN_TIMEOUT_MS = 30_000

type Options = { dir?: string; json?: boolean; admin?: string; adminTokenFile?: string }

/** Reads the options that all commands have; commander keeps them at the root. */
export function contextOf(command: Command): Context {
  const options = command.optsWithGlobals<Options>()
  const url = findAdmin(options)
  const nowMs = Date.now()
  const isJson = options.json === true
  if (url !== null) {
    const token = readToken(options.adminTokenFile)
    const target = { ...parseAdminUrl(url), token, timeoutMs: ADMIN_TIMEOUT_MS }
    return { store: openRemote(target), isJson, nowMs }
  }
  const isNamed = options.dir !== undefined || Boolean(process.env.TOLLGATE_DIR)
  return { store: openFiles(findFolder(options.dir), isNamed, nowMs), isJson, nowMs }
}

/** The same for commands that no admin API does. */
export function localContextOf(command: Command): LocalContext {
  const options = command.optsWithGlobals<Options>()
  if (findAdmin(options) !== null) refuseAdmin(command)
  const folder = findFolder(options.dir)
  return { folder, dir: folder.dir, isJson: options.json === true, nowMs: Date.now() }
}

/** Refuses --admin for a command that is about this machine. */
export function requireLocal(command: Command): void {
  if (command.optsWithGlobals<Options>().admin !== undefined) refuseAdmin(command)
}

/** The address of the admin API, where one is meant: what is named goes before the environment. */
function findAdmin({ dir, admin, adminTokenFile }: Options): string | null {
  if (admin !== undefined && dir !== undefined) {
    throw new Misused('Choose one of --admin and --dir: an address, or a folder of this machine')
  }
  // An empty one is refused: files of this machine are not what was meant.
  if (admin !== undefined) return admin
  const url = dir === undefined ? process.env.TOLLGATE_ADMIN : undefined
  if (url) return url
  if (adminTokenFile !== undefined) {
    throw new Misused('--admin-token-file is of use with --admin URL only')
  }
  return null
}

function refuseAdmin(command: Command): never {
  const words: string[] = []
  for (let one: Command | null = command; one; one = one.parent) words.unshift(one.name())
  throw new Misused(
    `${words.join(' ')} works on this machine alone: run it on the host of the gate, without --admin ` +
      'and TOLLGATE_ADMIN',
  )
}
