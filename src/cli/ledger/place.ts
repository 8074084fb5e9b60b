import { dirname, join, resolve } from 'node:path'
import { LAYOUT_DEFAULTS, WORKERS_DIR } from '../install/layout.ts'
import { type Folder, readIncluded, readMap, requireTrusted } from '../store/dirs.ts'

/** Where a gate keeps what it has counted. */
export type Place = {
  /** The file that nginx writes; rotated ones stand beside it. */
  ledger: string
  balance: string
  /** The folder of nginx.conf. */
  nginxDir: string
}

const LEDGER_FILE = 'ledger.jsonl'
const BALANCE_FILE = 'balance.json'

/** For commands that read the ledger. */
export const LEDGER_OPTION = [
  '--ledger <file>',
  'the ledger (default: that of the folder --dir)',
] as const

/**
 * Finds the ledger that belongs to a configuration, as dirs.conf tells nginx. With --ledger it is the
 * named file, and the balance below its folder.
 */
export function findPlace({ includes }: Folder, ledger: string | undefined): Place {
  const nginxDir = dirname(includes)
  if (ledger !== undefined) {
    const path = resolve(ledger)
    return { ledger: path, balance: join(dirname(path), WORKERS_DIR, BALANCE_FILE), nginxDir }
  }
  requireTrusted(includes, 'name the ledger with --ledger')
  const text = readIncluded(includes)
  const file = readMap(text, 'ledger_file') ?? join(LAYOUT_DEFAULTS.stateDir, LEDGER_FILE)
  const stateDir = readMap(text, 'state_dir') ?? join(dirname(file), WORKERS_DIR)
  return { ledger: file, balance: join(stateDir, BALANCE_FILE), nginxDir }
}
