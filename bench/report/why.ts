import type { Results } from '../results.ts'
import { labelOf } from '../subjects.ts'
import { show } from './table.ts'
import { type About, listTargets, number, type Target, withKind } from './targets.ts'

type Why = { title: string; above: string }

/** What stands above the floor of a target, and why: in short what NOTES.md has found. */
const WHY: Record<About, Why> = {
  request: {
    title: 'A small request',
    above:
      'Above handlers that do nothing are a SHA-256, the record, the list of what runs and the line; with bodies one JSON.parse ' +
      'and the edit of the body; with limits the counters of client, key and group, by minute, day and month. On ' +
      "njs's own engine all functions and variables are made anew for each request. With many callers contexts take turns, so that " +
      'the code and objects of each are out of the caches when its turn comes; one caller after the other costs less.',
  },
  event: {
    title: 'An event',
    above:
      'Above a filter that does nothing the gate makes sure that the event is whole and one, and not the end of a ' +
      'choice, takes its count out, tells the time, and looks ten times a second whether the key still holds. Between two ' +
      'events of a stream all the others have been in the caches.',
  },
  first: {
    title: 'The first token',
    above:
      'It waits for its own request to be admitted, and for what the one worker does for the other ' +
      'streams meanwhile: the busier the worker, the longer. This is the price of a request and of an event, seen from outside.',
  },
  open: {
    title: '1,024 streams',
    above:
      'All of them are one worker here. nginx starts one for each core, and streams are spread over them.',
  },
  memory: {
    title: 'Memory of an open stream',
    above:
      'Each context reads its own copy of the bytecode, whether or not it is called: this is the code ' +
      'of the gate, not what its requests hold.',
  },
  growth: {
    title: 'Memory of an event on the njs engine',
    above:
      "njs's own engine collects no garbage: what a call makes is kept until the request is over, and so " +
      'is what each search, slice and send makes.',
  },
  keys: {
    title: '100,000 keys',
    above:
      'A request with 10 keys shares the entries that its line of the ledger is added to with many others. ' +
      'With 100,000, each line is added to sums, rows and counters of its own, all of them out of the ' +
      'caches: see Adding up the ledger. It is done by one worker of them all, between requests, and takes ' +
      'what they had in the caches with it.',
  },
  line: {
    title: 'A line of the ledger',
    above:
      'Sums of client and key, rows of the hour and the day, counters of budgets and series of metrics are entries of ' +
      "their own where each line is another client's: some thirty reads and writes of what is in no cache, and JSON of most.",
  },
  stall: {
    title: 'A stall while keys are reloaded',
    above: 'Housekeeping runs in a worker, in slices of a few milliseconds.',
  },
}

/** Why targets were missed, by the figures of this run. */
export function formatMisses(results: Results): string[] {
  const missed = listTargets(results).filter(({ isMet }) => isMet === false)
  const abouts = [...new Set(missed.map(({ about }) => about))]
  return abouts.flatMap((about) => [
    `- **${WHY[about].title}.** ${WHY[about].above}`,
    ...missed
      .filter((target) => target.about === about)
      .map((target) => {
        const told = [missOf, codeOf, busyOf, linesOf].map((tell) => tell(target, results))
        return `  - ${told.join('')}.`
      }),
  ])
}

/** One sentence: what was measured, how low it could have come, and what is between. */
function missOf({ what, subject, unit, most, measured, empty, bare, told }: Target): string {
  const parts = [`${what}, ${labelOf(subject)}: ${told ?? `${number(measured)} ${unit}`}`]
  parts.push(`${number(measured / most)} times the target of ${most}`)
  if (empty !== null) parts.push(`empty handlers alone take ${number(empty)}`)
  if (bare !== null) parts.push(`the configuration without JavaScript ${number(bare)}`)
  return parts.join('; ')
}

/** Of memory: what the code takes that is loaded and never called. */
function codeOf({ about, subject }: Target, results: Results): string {
  if (about !== 'memory') return ''
  const padded = withKind(subject, 'padded')
  const row = results.memory.find((one) => one.subject === padded && one.streams === 256)
  const bytes = results.bundles.find(({ file }) => file === 'tollgate.js')?.bytes
  if (row === undefined) return ''
  return (
    `; empty handlers behind the ${show((bytes ?? Number.NaN) / 1024, 0)} KB of the gate's code, which ` +
    `nothing calls, ${show(row.kbPerStream, 0)} KB`
  )
}

/** Of times: how busy the worker was. */
function busyOf({ about, subject }: Target, { streams }: Results): string {
  const row = streams.find((one) => one.subject === subject && one.streams === 64 && !one.asks)
  if (about !== 'first' || row === undefined) return ''
  return `; its events alone keep the worker ${show(row.busy * 100, 0)} % busy`
}

/** Of many keys: how much of what a request takes more is its line of the ledger. */
function linesOf({ about, subject }: Target, { keys, folding }: Results): string {
  const usOf = (count: number) => {
    return keys.find((row) => row.subject === subject && row.keys === count)?.cpuUs.median
  }
  const [world] = subject.split(' ')
  const own = folding.filter((one) => one.world === world && !one.isFloor)
  const [few, many] = [usOf(10), usOf(100_000)]
  const [fewLine, manyLine] = own.map(({ lineUs }) => lineUs.median)
  if (about !== 'keys' || few === undefined || many === undefined) return ''
  if (fewLine === undefined || manyLine === undefined) return ''
  return (
    `; of the ${show(many - few, 0)} us that a request takes more, ${show(manyLine - fewLine, 0)} are ` +
    'its line, in the table by itself'
  )
}
