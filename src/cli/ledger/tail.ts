import { normalise } from '../../core/ledger/read.ts'
import type { TailListener, TailQuestion } from '../store/store.ts'
import { describeFile } from './files.ts'
import { follow, tailBytesFor } from './follow.ts'
import { type Entry, parseLine } from './line.ts'

/** Tells of the last lines of a ledger, and of what is added to it until `ending`. */
export async function tailFile(
  ledger: string,
  { client, lines }: Omit<TailQuestion, 'ledger'>,
  { show, remark }: TailListener,
  ending: AbortSignal,
): Promise<void> {
  if ((await describeFile(ledger)) === null) remark(`There is no ${ledger} yet: waiting for it`)
  // What ended before is kept until it is known which lines are the last.
  let earlier: Entry[] | null = []
  const onLine = (text: string | null) => {
    const entry = parseLine(text)
    if (entry.kind === 'unreadable') {
      if (!earlier) remark(`A line of the ledger cannot be read: ${entry.problem}`)
      return
    }
    if (client !== undefined && entry.line.client !== client) return
    if (entry.kind === 'request') normalise(entry.line, entry.timeMs)
    if (!earlier) show(entry)
    else if (earlier.push(entry) > lines) earlier.shift()
  }
  const onReady = () => {
    earlier?.forEach(show)
    earlier = null
  }
  await follow(ledger, tailBytesFor(lines), onLine, onReady, ending)
}
