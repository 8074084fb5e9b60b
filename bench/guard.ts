import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageDir } from '../src/cli/install/layout.ts'
import { say, tell } from './notes.ts'
import { canCount, type Weighed, weigh } from './parts/instructions.ts'
import { type Kind, listSubjects, type Subject } from './subjects.ts'
import { startUpstream } from './upstream.ts'

/** What was written down, by subject and what it is of, and on which nginx: instructions. */
type Weights = { [name: string]: { nginx: string; instructions: number } }

const FILE = join(packageDir(), 'bench', 'weights.json')

const KINDS: Kind[] = ['identity', 'body', 'all']

/**
 * A request, or a stream but for its events, may become so much heavier before somebody has to say why. Counts repeat to 1 or 2 %; of
 * an event to 5 %, as a stream is looked at by the clock, the oftener the slower the machine is, and of a stream so too.
 */
const MOST: Weighed = { request: 1.05, event: 1.15, stream: 1.15 }
const WHAT = ['request', 'event', 'stream'] as const

type Work = { name: string; nginx: string; what: keyof Weighed; instructions: number }

/**
 * Counts the instructions of requests, events and streams, and compares them with those that are written down. With `isRecorded` they
 * are written anew. Returns whether the gate is no heavier than it was.
 */
export async function guard(isRecorded: boolean): Promise<boolean> {
  if (!canCount()) {
    say('Left out: the weight of a request, for which valgrind has to be installed')
    return true
  }
  const upstream = await startUpstream()
  try {
    const weights = JSON.parse(await readFile(FILE, 'utf8').catch(() => '{}')) as Weights
    const found: Work[] = []
    for (const subject of await listSubjects()) {
      if (!KINDS.includes(subject.kind)) continue
      const works = await worksOf(subject, upstream.port)
      // Housekeeping may have come in between.
      const isLight = works.every((work) => isRecorded || !isHeavy(work, weights))
      const again = isLight ? works : await worksOf(subject, upstream.port)
      found.push(...works.map((work, i) => lighter(work, again[i] as Work)))
    }
    if (!isRecorded) return found.map((work) => judge(work, weights)).every(Boolean)
    const written = found.map(({ name, nginx, instructions }) => [name, { nginx, instructions }])
    for (const { name, instructions } of found) tell(`  ${name}: ${inThousands(instructions)}`)
    await writeFile(FILE, `${JSON.stringify(Object.fromEntries(written), null, 2)}\n`)
    return true
  } finally {
    await upstream.stop()
  }
}

async function worksOf(subject: Subject, upstreamPort: number): Promise<Work[]> {
  const weighed = await weigh(subject, upstreamPort)
  return WHAT.map((what) => ({
    name: what === 'request' ? subject.id : `${subject.id} ${what}`,
    nginx: versionOf(subject),
    what,
    instructions: Math.round(weighed[what]),
  }))
}

function lighter(one: Work, other: Work): Work {
  return one.instructions < other.instructions ? one : other
}

/** Infinity where nothing is written down for this nginx. */
function mostOf({ name, nginx, what }: Work, weights: Weights): number {
  const known = weights[name]
  return known?.nginx === nginx ? known.instructions * MOST[what] : Number.POSITIVE_INFINITY
}

function isHeavy(work: Work, weights: Weights): boolean {
  return work.instructions > mostOf(work, weights)
}

/** Tells how heavy something is; false: too heavy. */
function judge(work: Work, weights: Weights): boolean {
  const line = `${work.name}: ${inThousands(work.instructions)} instructions`
  const most = mostOf(work, weights)
  if (isHeavy(work, weights)) {
    console.error(
      `${line}, and at most ${inThousands(most)} are allowed: make it lighter, or say in the commit why it has to ` +
        'be heavier, and write that down with `npm run bench -- --guard --record`',
    )
    return false
  }
  const known = weights[work.name]?.instructions ?? 0
  if (most < Number.POSITIVE_INFINITY) tell(`  ${line}, ${inThousands(known)} are written down`)
  else say(`${line}; nothing is written down for this nginx`)
  return true
}

function versionOf({ nginx }: Subject): string {
  return `${nginx.nginxVersion}, njs ${nginx.njsVersion}, ${nginx.engine}`
}

/** Of an event with a digit more: it takes some ten thousand. */
function inThousands(count: number): string {
  return `${(count / 1000).toFixed(count < 100_000 ? 1 : 0)}k`
}
