import { type BalanceFile, parseHead } from '../../core/ledger/balancefile.ts'
import { readTrusted } from '../store/trust.ts'

/** Reads balance.json; null when there is none, and why when it cannot be read. */
export async function readBalance(path: string): Promise<BalanceFile | { broken: string } | null> {
  const text = await readTrusted(path)
  if (text === null) return null
  const found = parseHead(text)
  if (found === null) return { broken: `${path} is no balance of this version` }
  if (found.head.isPartial) return { broken: `${path} has not all sums, as its zone was full` }
  try {
    return JSON.parse(text) as BalanceFile
  } catch {
    return { broken: `${path} is not whole` }
  }
}
