import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { LAYOUT_DEFAULTS, WORKERS_DIR } from '../layout.ts'

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
 * Finds the ledger that belongs to a folder of policy.json and clients.json, as dirs.conf tells nginx:
 * that of `tollgate serve` is below the folder, that of an installed gate in it. With --ledger it is
 * the named file, and the balance below its folder.
 */
export async function findPlace(dir: string, ledger: string | undefined): Promise<Place> {
  const served = join(dir, 'nginx')
  const nginxDir = existsSync(join(served, 'nginx.conf')) ? served : dirname(dir)
  if (ledger !== undefined) {
    const path = resolve(ledger)
    return { ledger: path, balance: join(dirname(path), WORKERS_DIR, BALANCE_FILE), nginxDir }
  }
  const text =
    (await readText(join(nginxDir, 'tollgate', 'dirs.conf'))) ??
    (await readText(join(dir, 'dirs.conf'))) ??
    ''
  const file = readMap(text, 'ledger_file') ?? join(LAYOUT_DEFAULTS.stateDir, LEDGER_FILE)
  const stateDir = readMap(text, 'state_dir') ?? join(dirname(file), WORKERS_DIR)
  return { ledger: file, balance: join(stateDir, BALANCE_FILE), nginxDir }
}

/** `map "" $tollgate_state_dir { default "/var/lib/tollgate/state"; }`. */
function readMap(text: string, name: string): string | undefined {
  return new RegExp(`^map\\s+""\\s+\\$tollgate_${name}\\s*\\{\\s*default\\s+"([^"]+)"`, 'm').exec(
    text,
  )?.[1]
}

function readText(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null)
}
