import type { Results, StreamRow } from '../results.ts'
import { labelOf } from '../subjects.ts'
import { show } from './table.ts'
import { type About, listTargets, number, p99Of, type Target, withKind } from './targets.ts'

type Why = { title: string; above: string }

/** What stands above the floor of a target, and why: in short what NOTES.md has found. */
const WHY: Record<About, Why> = {
  identity: {
    title: 'A small request with keys, identity and ledger',
    above:
      'Above the needed work is what makes a gate of it: all routes, scopes, addresses and dialects, a ' +
      'reason for every refusal, a break that refuses, a line on every exit. With many callers contexts ' +
      'take turns, so that the code and objects of each are out of the caches when its turn comes; one ' +
      'caller after the other costs less.',
  },
  all: {
    title: 'A small request with body, limits and budgets',
    above:
      'Above the needed work is the body, which is scanned for keys that stand twice and for what ' +
      'pictures and tools make of a prompt, not only parsed; and limits, which are asked, committed and ' +
      'undone for client, key and group, by window, day and month, with the part of each worker beside, ' +
      'so that nothing is lost when one dies.',
  },
  metered: {
    title: 'An event that is metered',
    above:
      'Above the needed work the gate makes sure that the event is whole and one, and not the end of a ' +
      'choice, tells the time, and looks ten times a second whether the key still holds. Between two ' +
      'events of a stream all the others have been in the caches.',
  },
  taken: {
    title: 'An event with counts put in and taken out',
    above: 'Above the needed work is the same as for an event that is metered.',
  },
  first: {
    title: 'The first token',
    above:
      'It waits for its own request to be admitted, and for what the one worker does for the other ' +
      'streams meanwhile: the busier the worker, the longer. Here 333 of 256 streams a second begin while the ' +
      'others are open, so that requests stand in a queue. This is the price of a request and of an event, ' +
      'seen from outside.',
  },
  gaps: {
    title: 'The time between two tokens',
    above:
      'It waits for what the one worker does for the other streams meanwhile, most of all while they begin.',
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
function missOf({ subject, unit, most, measured, floor, empty, told }: Target): string {
  const parts = [`${labelOf(subject)}: ${told ?? `${number(measured)} ${unit}`}`]
  if (empty !== null) parts.push(`empty handlers alone take ${number(empty)} ${unit}`)
  if (floor !== null) {
    parts.push(`the needed work ${number(floor)} ${unit}, ${verdictOf(floor, most)}`)
    if (floor > 0 && measured > floor) {
      parts.push(`the gate takes ${number(measured / floor)} times that`)
    }
  }
  return parts.join('; ')
}

function verdictOf(floor: number, most: number): string {
  return `${floor > most ? 'more than' : 'within'} the target of ${most} by itself`
}

/** Of memory: what the code takes that is loaded and never called. */
function codeOf({ about, subject, most }: Target, results: Results): string {
  if (about !== 'memory') return ''
  const padded = withKind(subject, 'padded')
  const row = results.memory.find((one) => one.subject === padded && one.streams === 256)
  const bytes = results.bundles.find(({ file }) => file === 'tollgate.js')?.bytes
  if (row === undefined) return ''
  return (
    `; empty handlers behind the ${show((bytes ?? Number.NaN) / 1024, 0)} KB of the gate's code, which ` +
    `nothing calls, ${show(row.kbPerStream, 0)} KB, ${verdictOf(row.kbPerStream, most)}`
  )
}

/** Of times: how busy the worker was, and the same time where it is less so. */
function busyOf({ about, subject, most }: Target, { streams }: Results): string {
  if (about !== 'first' && about !== 'gaps') return ''
  const find = (count: number) => {
    return streams.find((row) => row.subject === subject && row.streams === count && !row.asks)
  }
  const [row, fewer] = [find(256), find(64)]
  if (row === undefined) return ''
  const busy = ({ busy }: StreamRow) => `${show(busy * 100, 0)} %`
  const told = `; its events alone keep the worker ${busy(row)} busy`
  if (fewer === undefined) return told
  const value = p99Of(about === 'first' ? fewer.first : fewer.gaps)
  const verdict = value !== null && value <= most ? ', which is within the target' : ''
  return `${told}; with 64 streams, ${busy(fewer)} busy, it is ${number(value)} ms${verdict}`
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
