import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageDir } from '../src/cli/install/layout.ts'
import { say, tell } from './notes.ts'
import { canCount, count } from './parts/instructions.ts'
import { type Kind, listSubjects, type Subject } from './subjects.ts'
import { startUpstream } from './upstream.ts'

/** What a request or an event took when it was last written down, by subject, and on which nginx: instructions. */
type Weights = { [subject: string]: { nginx: string; instructions: number } }

const FILE = join(packageDir(), 'bench', 'weights.json')

const KINDS: Kind[] = ['identity', 'body', 'all']
/** Whose events are counted: those that pass unread, and those that counts are taken out of. */
const STREAMED: Kind[] = ['identity', 'body']

type Work = { subject: Subject; what: 'request' | 'event'; name: string }
type Judged = Work & { instructions: number; isHeavy: boolean }

/**
 * A request may become so much heavier before somebody has to say why. Counts repeat to 1 or 2 %; of an event to 5 %, as a
 * stream is looked at by the clock, the oftener the slower the machine is.
 */
const MOST = { request: 1.05, event: 1.15 }

/**
 * Counts the instructions of a request and of an event, and compares them with those that are written down. With `isRecorded` they
 * are written anew. Returns whether the gate is no heavier than it was.
 */
export async function guard(isRecorded: boolean): Promise<boolean> {
  if (!canCount()) {
    say('Left out: the weight of a request, for which valgrind has to be installed')
    return true
  }
  const subjects = (await listSubjects()).filter(({ kind }) => KINDS.includes(kind))
  const upstream = await startUpstream()
  try {
    const weights = JSON.parse(await readFile(FILE, 'utf8').catch(() => '{}')) as Weights
    const judged: Judged[] = []
    for (const work of subjects.flatMap(worksOf)) {
      judged.push(await judge(work, upstream.port, isRecorded ? {} : weights))
    }
    if (isRecorded) {
      const found = judged.map(({ subject, name, instructions }) => {
        const nginx = versionOf(subject)
        return [name, { nginx, instructions: Math.round(instructions) }]
      })
      await writeFile(FILE, `${JSON.stringify(Object.fromEntries(found), null, 2)}\n`)
    }
    return judged.every(({ isHeavy }) => !isHeavy)
  } finally {
    await upstream.stop()
  }
}

function worksOf(subject: Subject): Work[] {
  const request: Work = { subject, what: 'request', name: subject.id }
  const event: Work = { subject, what: 'event', name: `${subject.id} event` }
  return STREAMED.includes(subject.kind) ? [request, event] : [request]
}

async function judge(work: Work, upstreamPort: number, weights: Weights): Promise<Judged> {
  const { subject, what, name } = work
  const known = weights[name]
  const isKnown = known !== undefined && known.nginx === versionOf(subject)
  const most = isKnown ? known.instructions * MOST[what] : Number.POSITIVE_INFINITY
  let instructions = await count(what, subject, upstreamPort)
  // Housekeeping may have come in between.
  if (instructions > most)
    instructions = Math.min(instructions, await count(what, subject, upstreamPort))
  const isHeavy = instructions > most
  const line = `${name}: ${inThousands(instructions)} instructions`
  if (!isKnown) say(`${line}; nothing is written down for this nginx`)
  else if (!isHeavy) tell(`  ${line}, ${inThousands(known.instructions)} are written down`)
  else {
    console.error(
      `${line}, and at most ${inThousands(most)} are allowed: make it lighter, or say in the commit why it has to ` +
        'be heavier, and write that down with `npm run bench -- --guard --record`',
    )
  }
  return { ...work, instructions, isHeavy }
}

function versionOf({ nginx }: Subject): string {
  return `${nginx.nginxVersion}, njs ${nginx.njsVersion}, ${nginx.engine}`
}

/** Of an event with a digit more: it takes some ten thousand. */
function inThousands(count: number): string {
  return `${(count / 1000).toFixed(count < 100_000 ? 1 : 0)}k`
}
