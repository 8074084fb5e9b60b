import { parseArgs } from 'node:util'

/** The parts of a run, in their order. */
export const PARTS = [
  'requests',
  'instructions',
  'bodies',
  'keys',
  'streams',
  'memory',
  'loading',
  'startup',
  'peers',
  'soak',
] as const

/** What a quick run has no time for. */
const QUICK_WITHOUT: readonly string[] = ['bodies', 'keys', 'peers']

export type Part = (typeof PARTS)[number]

/** What a run does and how long it takes over it. */
export type Options = {
  isQuick: boolean
  /** Only some parts were asked for. */
  isPartial: boolean
  parts: Part[]
  /** Rounds over all subjects; every figure is a median of that many. */
  rounds: number
  /** Of one measurement at saturation. */
  loadSeconds: number
  /** Of one measurement of streams. */
  streamSeconds: number
  soakMinutes: number
  /** The folder that results are written to. */
  out: string
}

/** The text for --help. */
export const USAGE = `npm run bench -- [--quick] [--soak] [--only ${PARTS.join(',')}]
  --quick          fewer rounds and loads, under 3 minutes
  --soak           30 minutes of mixed load at the end; --minutes N for another time
  --only A,B       these parts alone; the others keep the figures of the last results.json
  --out DIR        where RESULTS.md, results.json and charts/ go, else bench/`

/** Reads the command line; null asks for the usage. */
export function readOptions(args: string[], folder: string): Options | null {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      soak: { type: 'boolean', default: false },
      minutes: { type: 'string', default: '30' },
      only: { type: 'string' },
      out: { type: 'string', default: folder },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  const isQuick = values.quick
  return {
    isQuick,
    isPartial: values.only !== undefined,
    parts: chooseParts(values.only, isQuick, values.soak),
    rounds: isQuick ? 3 : 7,
    loadSeconds: isQuick ? 1 : 3,
    streamSeconds: isQuick ? 3 : 8,
    soakMinutes: readMinutes(values.minutes),
    out: values.out,
  }
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
  throw new Error(`Cannot soak for ${text} minutes: --minutes takes 1 to 1440`)
}
