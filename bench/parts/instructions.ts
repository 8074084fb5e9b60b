import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../src/cli/nginx/child.ts'
import { agentBody } from '../bodies.ts'
import { makeKeys } from '../clients.ts'
import type { Context } from '../context.ts'
import type { Role } from '../machine.ts'
import { say, tell } from '../notes.ts'
import type { InstructionRow } from '../results.ts'
import { type Server, startServer } from '../server.ts'
import { baseOf, type Kind, type Subject } from '../subjects.ts'
import { findOnPath } from '../tools.ts'

/** Before anything is counted, so that all caches are warm. */
const WARM_REQUESTS = 60
const REQUESTS = 40
const AGENT_REQUESTS = 10
/** The least of so many counts is taken: in that one there was no housekeeping. */
const TIMES = 3
/** Events of a short stream and of a long one. */
const TOKENS = [20, 120] as const
/** Slow enough for nginx under callgrind to take each event by itself. */
const GAP_MS = 10
const ANSWER_MS_MAX = 60_000

type Counts = Omit<InstructionRow, 'requestRatio' | 'eventRatio'>

/**
 * Instructions of one request, of an agent's, of a stream and of one of its events, as callgrind counts them. Nothing else that
 * runs on the machine changes them, but they say nothing of the kernel, nor of what misses a cache.
 */
export async function measureInstructions(context: Context): Promise<InstructionRow[]> {
  if (!canCount()) {
    say('Left out: instructions by request, for which valgrind has to be installed')
    return []
  }
  const kinds: Kind[] = ['plain', 'all']
  const chosen = context.subjects.filter(({ kind }) => {
    return context.options.isQuick ? kinds.includes(kind) : kind !== 'padded'
  })
  // Two at a time, because what runs beside does not matter here.
  const left = [...chosen]
  const found = await Promise.all([
    countAll(context, left, 'subject'),
    countAll(context, left, 'mock'),
  ])
  const counts = chosen.flatMap(({ id }) => found.flat().filter(({ subject }) => subject === id))
  return counts.map((one) => rowOf(one, counts))
}

/** Takes one subject after the other, until none is left. */
async function countAll(context: Context, left: Subject[], role: Role): Promise<Counts[]> {
  const found: Counts[] = []
  for (let subject = left.shift(); subject !== undefined; subject = left.shift()) {
    try {
      found.push(await countOne(context, subject, role))
    } catch (error) {
      say(`Left out: instructions of ${subject.id}, ${error instanceof Error ? error.message : ''}`)
    }
  }
  return found
}

/** What the guard counts. */
export type Weighed = { request: number; event: number; stream: number }

/** Instructions of a request, of a streamed event, and of a stream but for its events. */
export async function weigh(subject: Subject, upstreamPort: number): Promise<Weighed> {
  const server = await startCounted(subject, upstreamPort, 'subject')
  try {
    return { request: await countWarm(server), ...(await countStream(server)) }
  } finally {
    await server.stop()
  }
}

/** Of two streams that differ in nothing but their length. */
async function countStream(server: Server): Promise<Pick<Weighed, 'event' | 'stream'>> {
  const short = await countLeast(server, 1, chatBody(TOKENS[0]))
  const long = await countLeast(server, 1, chatBody(TOKENS[1]))
  const event = (long - short) / (TOKENS[1] - TOKENS[0])
  return { event, stream: short - TOKENS[0] * event }
}

/** Whether instructions can be counted on this machine. */
export function canCount(): boolean {
  return findOnPath('valgrind') !== null && findOnPath('vgdb') !== null
}

/** A server under callgrind; `prepare` changes files of the configuration before. */
export async function startCounted(
  subject: Subject,
  upstreamPort: number,
  role: Role,
  prepare?: (root: string) => Promise<void>,
): Promise<Server> {
  return startServer(subject, {
    role,
    upstreamPort,
    waitSeconds: 90,
    prepare: async (root) => {
      await prepareAlone(root)
      await prepare?.(root)
    },
    wrap: (command) => ['valgrind', '-q', '--tool=callgrind', outOption(command), ...command],
  })
}

async function countWarm(server: Server): Promise<number> {
  await ask(server, WARM_REQUESTS)
  await takeDump(server)
  return (await countLeast(server, REQUESTS)) / REQUESTS
}

async function countOne(context: Context, subject: Subject, role: Role): Promise<Counts> {
  const server = await startCounted(subject, context.upstream.port, role)
  try {
    const perRequest = await countWarm(server)
    const perAgent = (await countLeast(server, AGENT_REQUESTS, agentBody())) / AGENT_REQUESTS
    const { event: perEvent, stream: perStream } = await countStream(server)
    const counts = [perRequest, perAgent, perStream, perEvent].map((count) => Math.round(count))
    tell(
      `  ${subject.id}: ${counts[0]} a request, ${counts[1]} an agent's, ${counts[2]} a stream, ${counts[3]} an event`,
    )
    return { subject: subject.id, perRequest, perAgent, perStream, perEvent }
  } finally {
    await server.stop()
  }
}

async function countLeast(server: Server, requests: number, body = chatBody()): Promise<number> {
  const counts: number[] = []
  for (let time = 0; time < TIMES; time++) {
    await ask(server, requests, body)
    counts.push(await takeDump(server))
  }
  return Math.min(...counts)
}

// One process, since vgdb does not reach a fork; and seldom any housekeeping, which would be counted by
// the time that passes.
async function prepareAlone(root: string): Promise<void> {
  await change(join(root, 'nginx.conf'), (text) => `master_process off;\n${text}`)
  await change(join(root, 'tollgate', 'admin.conf'), (text) =>
    text.replace('interval=500ms', 'interval=5s'),
  ).catch(() => undefined)
}

async function change(file: string, edit: (text: string) => string): Promise<void> {
  await writeFile(file, edit(await readFile(file, 'utf8')))
}

function outOption(command: readonly string[]): string {
  const root = command[command.indexOf('-p') + 1] ?? ''
  return `--callgrind-out-file=${root}/callgrind.%p.out`
}

/** Has callgrind write what it counted since the last dump, and returns the number of instructions. */
export async function takeDump(server: Server): Promise<number> {
  const before = new Set(await readdir(server.root))
  const ending = await run(['vgdb', `--pid=${server.pids[0]}`, 'dump'], { timeoutMs: 60_000 })
  if (ending.code !== 0) throw new Error(`vgdb cannot reach nginx: ${ending.stderr.trim()}`)
  const file = (await readdir(server.root)).find((name) => !before.has(name))
  if (file === undefined) throw new Error('callgrind wrote nothing')
  const text = await readFile(join(server.root, file), 'utf8')
  return Number(/^(?:totals|summary): (\d+)/m.exec(text)?.[1])
}

/** A small chat; of so many tokens it is a stream. */
function chatBody(tokens = 0): string {
  return JSON.stringify({
    model: 'bench-8b',
    messages: [{ role: 'user', content: 'Tell me something short.' }],
    ...(tokens === 0 ? {} : { stream: true, max_tokens: tokens, user: `gapMs=${GAP_MS}` }),
  })
}

async function ask(server: Server, count: number, body = chatBody()): Promise<void> {
  for (let index = 0; index < count; index++) {
    const answer = await fetch(`http://127.0.0.1:${server.port}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${makeKeys(1)[0]?.secret}`,
        'content-type': 'application/json',
      },
      body,
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    })
    await answer.text()
    if (answer.status !== 200) throw new Error(`It answered ${answer.status}`)
  }
}

function rowOf(counts: Counts, all: readonly Counts[]): InstructionRow {
  const base = baseOf(all, counts.subject)
  return {
    ...counts,
    requestRatio: counts.perRequest / (base?.perRequest ?? Number.NaN),
    eventRatio: counts.perEvent / (base?.perEvent ?? Number.NaN),
  }
}
