import { stat } from 'node:fs/promises'
import { connect, type NetConnectOpts } from 'node:net'
import { dirname, join } from 'node:path'
import {
  type BalanceHead,
  formatEnd,
  formatHead,
  formatSubject,
} from '../../core/ledger/balancefile.ts'
import { replaceFile } from '../store/atomic.ts'
import { readBalance } from './balancefile.ts'
import type { LedgerFile } from './files.ts'
import { type OnLine, readLines } from './lines.ts'
import type { Progress } from './progress.ts'
import { formatRows } from './rows.ts'
import { createFold, headOf, type Sum } from './sums.ts'

/** All of a ledger in sums, and where nginx goes on with it. */
export type Rebuilt = Sum & {
  head: string | null
  offset: number
  zoneMinutes: number
  broken: string[]
}

const CONNECT_MS_MAX = 1000

/** Adds up all files. Of the newest, which nginx goes on writing, whole lines only. */
export async function foldAll(
  files: LedgerFile[],
  nowMs: number,
  zoneMinutes: number,
  progress: Progress,
): Promise<Rebuilt> {
  const fold = createFold(nowMs, zoneMinutes)
  const onLine: OnLine = (text) => fold.add(text)
  const broken: string[] = []
  let offset = 0
  for (const file of files) {
    const end = await readLines(file, onLine, progress)
    if (end.broken !== null) broken.push(`${file.path}: cannot be unpacked: ${end.broken}`)
    offset = end.bytes - end.tornBytes
  }
  const newest = files.at(-1)
  const head = newest && offset > 0 ? await headOf(newest) : null
  return { ...fold.end(), head, offset: head === null ? 0 : offset, zoneMinutes, broken }
}

/**
 * Writes a balance by rename, after the rows of usage that it names. With `isAlone` it goes without them:
 * to look at, not to start with.
 */
export async function writeBalance(
  path: string,
  rebuilt: Rebuilt,
  isAlone: boolean,
): Promise<void> {
  const { subjects, windows, lines, skipped, head, offset, zoneMinutes } = rebuilt
  const before = await readBalance(path)
  const rows = formatRows(windows, before && 'version' in before ? before : null)
  const ledger = { head, offset }
  const mark: BalanceHead = { version: 1, ledger, lines, skipped, count: subjects.size }
  if (zoneMinutes !== 0) mark.zoneMinutes = zoneMinutes
  if (!isAlone) {
    for (const { name, text } of rows.files) await replace(join(dirname(path), name), text)
    mark.usage = rows.head
  }
  const sums = [...subjects].map(([name, sum]) => formatSubject(name, JSON.stringify(sum)))
  await replace(path, formatHead(mark) + sums.join(',\n') + formatEnd())
}

/**
 * Writes a file whole, with the owner of its folder. nginx's workers own that folder, and root may run
 * this: nothing is written through a name that they may have made a link.
 */
async function replace(path: string, text: string): Promise<void> {
  const folder = await stat(dirname(path))
  await replaceFile(path, async (handle) => {
    await handle.writeFile(text)
    await handle.chmod(0o640)
    if (process.getuid?.() === 0) await handle.chown(folder.uid, folder.gid)
    await handle.sync()
  })
}

/** Whether somebody answers at an address such as `127.0.0.1:9180` or `[::1]:9180`. */
export function isListening(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(placeOf(address))
    const end = (isOpen: boolean) => {
      socket.destroy()
      resolve(isOpen)
    }
    socket.setTimeout(CONNECT_MS_MAX, () => end(false))
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}

/** What stands behind `listen`: `127.0.0.1:9180`, `*:9180`, `[::1]:9180`, `9180` or `unix:/path`. */
function placeOf(address: string): NetConnectOpts {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length) }
  const at = address.lastIndexOf(':')
  const host = address.slice(0, Math.max(0, at)).replace(/^\[|\]$/g, '') || '127.0.0.1'
  return { host: host === '*' ? '127.0.0.1' : host, port: Number(address.slice(at + 1)) }
}
