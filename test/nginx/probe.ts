import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type CounterKind,
  counterName,
  dayOf,
  type HeldKind,
  monthOf,
} from '../../src/core/limits/counters.ts'
import { subjectId } from '../../src/edge/config/subject.ts'
import type { Gate, GateOptions } from './harness.ts'
import { get, oneConnection } from './wire.ts'

/** Reads and writes the zones from outside. */
const PROBE = `
function all(zone) {
  const found = {}
  ngx.shared[zone].items(100000).forEach((item) => { found[item[0]] = item[1] })
  return found
}
function show(r) {
  if (r.args.set) ngx.shared[r.args.zone].set(r.args.set, r.args.text || Number(r.args.to))
  r.return(200, JSON.stringify(all(r.args.zone)))
}
export default { show }
`
const LOCATIONS = `
location = /zones { js_import probe from probe.js; js_content probe.show; access_log off; }
location = /which-worker { access_log off; return 200 $pid; }
`

/** The same options, with a probe in the server. */
export function probed(options: GateOptions = {}): GateOptions {
  return {
    ...options,
    serverExtra: `${LOCATIONS}${options.serverExtra ?? ''}`,
    async prepare(root, configDir) {
      await writeFile(join(root, 'probe.js'), PROBE)
      await options.prepare?.(root, configDir)
    },
  }
}

/** The entries of a zone of numbers, by its name without `tollgate_`; `set` is `&set=NAME&to=NUMBER`, or `&text=TEXT`. */
export async function zone(gate: Gate, name: string, set = ''): Promise<Record<string, number>> {
  const { bytes } = await get(gate, `/zones?zone=tollgate_${name}${set}`)
  return JSON.parse(bytes.toString())
}

/** What is used today and this month by a client: tokens, and cost in nano-units. Undefined where nothing is. */
export async function usedBy(gate: Gate, client = 'app') {
  const all = await zone(gate, 'counters')
  const id = subjectId('client', client)
  const of = (kind: CounterKind, window: number) => all[counterName(kind, id, window)]
  const [day, month] = [dayOf(Date.now()), monthOf(Date.now())]
  return [of('d', day), of('m', month), of('D', day), of('M', month)]
}

/** What a client has in flight, and the tokens and cost that are reserved for it. */
export async function heldBy(gate: Gate, client = 'app'): Promise<number[]> {
  const all = await zone(gate, 'counters')
  const kinds: HeldKind[] = ['f', 'r', 'R']
  return kinds.map((kind) => all[kind + subjectId('client', client)] ?? 0)
}

/** The entries of the requests that run, by which what they hold goes back when their worker dies. */
export async function entriesOf(gate: Gate): Promise<string[]> {
  return Object.keys(await zone(gate, 'running')).filter((name) => !name.startsWith('cut:'))
}

/** Kept connections to each worker, by its process id. It takes `listenExtra: 'reuseport'`. */
export async function connectAll(gate: Gate, workers: number, each = 1) {
  const agents = new Map<number, ReturnType<typeof oneConnection>[]>()
  const isDone = () => agents.size === workers && [...agents.values()].every(isFull)
  const isFull = (some: unknown[]) => some.length === each
  for (let tries = 0; !isDone(); tries++) {
    if (tries > 1000) throw new Error(`Only ${agents.size} of ${workers} workers answer`)
    const agent = oneConnection()
    const pid = Number((await get(gate, '/which-worker', { agent })).bytes)
    const some = agents.get(pid) ?? []
    agents.set(pid, some)
    if (isFull(some)) agent.destroy()
    else some.push(agent)
  }
  return agents
}
