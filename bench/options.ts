import { parseArgs } from 'node:util'

/** The parts of a run, in their order. */
export const PARTS = [
  'requests',
  'single',
  'instructions',
  'bodies',
  'keys',
  'folding',
  'streams',
  'memory',
  'reuse',
  'loading',
  'startup',
  'peers',
  'soak',
] as const

/** What a quick run has no time for. */
const QUICK_WITHOUT: readonly string[] = [
  'single',
  'bodies',
  'keys',
  'folding',
  'reuse',
  'loading',
  'peers',
]

export type Part = (typeof PARTS)[number]

/** What a run does and how long it takes over it. */
export type Options = {
  isQuick: boolean
  /** Only some parts were asked for. */
  isPartial: boolean
  parts: Part[]
  /** Rounds over all subjects; every figure is a median of that many. */
  rounds: number
  streamRounds: number
  /** Of one measurement at saturation. */
  loadSeconds: number
  /** Requests are made by the client on Node, as where wrk cannot be had. */
  isWithoutWrk: boolean
  soakMinutes: number
  /** Until what a worker keeps of its streams is read once more. */
  keptMinutes: number
  /** The folder that results are written to. */
  out: string
  /** The weight of a request alone, see guard.ts: compared with what is written down, or written down anew. */
  guard: 'compare' | 'record' | null
}

/** The text for --help. */
export const USAGE = `npm run bench -- [--quick] [--soak] [--only PART,...]
  --quick           fewer rounds and loads, under 3 minutes
  --soak [MINUTES]  mixed load at the end, 30 minutes for each version of nginx or as many as said;
                    and what workers keep is read after an hour, not a minute
  --only PART,...   these parts alone; the others keep the figures of the last results.json:
                    ${PARTS.join(', ')}
  --without-wrk     requests are made by a client on Node, as where wrk cannot be had
  --out DIR         where RESULTS.md, results.json and charts/ go, else bench/
  --guard           the instructions of a request alone, which fail above those of weights.json by 5 %;
                    with --record they are written there`

const SOAK_MINUTES = 30
const KEPT_MINUTES = 60

/** Reads the command line; null asks for the usage. */
export function readOptions(args: string[], folder: string): Options | null {
  const { values } = parseArgs({
    args: fillSoak(args),
    options: {
      quick: { type: 'boolean', default: false },
      soak: { type: 'string' },
      only: { type: 'string' },
      'without-wrk': { type: 'boolean', default: false },
      out: { type: 'string', default: folder },
      guard: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  const isQuick = values.quick
  return {
    isQuick,
    isPartial: values.only !== undefined,
    parts: chooseParts(values.only, isQuick, values.soak !== undefined),
    rounds: isQuick ? 3 : 5,
    streamRounds: isQuick ? 1 : 3,
    loadSeconds: isQuick ? 1 : 2,
    isWithoutWrk: values['without-wrk'],
    soakMinutes: readMinutes(values.soak ?? `${SOAK_MINUTES}`),
    keptMinutes: values.soak === undefined ? 1 : KEPT_MINUTES,
    out: values.out,
    guard: values.guard ? (values.record ? 'record' : 'compare') : null,
  }
}

/** `--soak` alone is as long as nobody says otherwise. */
function fillSoak(args: readonly string[]): string[] {
  return args.flatMap((arg, index) => {
    const isBare = arg === '--soak' && !/^\d/.test(args[index + 1] ?? '')
    return isBare ? [arg, `${SOAK_MINUTES}`] : [arg]
  })
}

function chooseParts(only: string | undefined, isQuick: boolean, withSoak: boolean): Part[] {
  if (only !== undefined) {
    const names = only.split(',')
    const unknown = names.filter((name) => !PARTS.some((part) => part === name))
    if (unknown.length > 0) throw new Error(`Unknown part ${unknown.join(', ')}`)
    return PARTS.filter((part) => names.includes(part))
  }
  return PARTS.filter((part) => {
    if (part === 'soak') return withSoak
    return !(isQuick && QUICK_WITHOUT.includes(part))
  })
}

function readMinutes(text: string): number {
  const minutes = Number(text)
  if (minutes >= 1 && minutes <= 1440) return minutes
  throw new Error(`Cannot soak for ${text} minutes: --soak takes 1 to 1440`)
}
