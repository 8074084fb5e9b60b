import { findNginx, type Nginx, type World } from '../src/cli/nginx/find.ts'
import { tell } from './notes.ts'

/**
 * How much of the gate is in the way: nothing; a map of keys written by hand; keys, identity and
 * ledger; the body read and metered besides; limits and budgets too.
 */
type Way = 'plain' | 'map' | 'identity' | 'body' | 'all'

/**
 * And what shows how low a gate of this shape could come, see floors/: its configuration without JavaScript; handlers that do
 * nothing; such handlers in a bundle as large as the gate's.
 */
type Floor = 'bare' | 'floor' | 'padded'

export type Kind = Way | Floor

/** One thing that is measured. */
export type Subject = {
  /** `newest all` */
  id: string
  kind: Kind
  world: World
  nginx: Nginx
  /** Whether anything of the gate is loaded. */
  isGate: boolean
}

const GATES: Kind[] = ['bare', 'floor', 'padded', 'identity', 'body', 'all']

/** Every subject, those of a world together, each plain one first. */
export async function listSubjects(): Promise<Subject[]> {
  const newest = await findNginx({ world: 'newest', say: tell })
  const debian13 = await findNginx({ world: 'debian13', say: tell })
  return [...worldOf('newest', newest), ...worldOf('debian13', debian13)]
}

function worldOf(world: World, nginx: Nginx): Subject[] {
  const make = (kind: Kind, isGate: boolean): Subject => ({
    id: `${world} ${kind}`,
    kind,
    world,
    nginx,
    isGate,
  })
  return [make('plain', false), make('map', false), ...GATES.map((kind) => make(kind, true))]
}

/** What a subject is compared with: plain proxy_pass, or the map, of the same nginx. */
export function baseOf<T extends { subject: string }>(
  rows: readonly T[],
  subject: string,
  kind: Kind = 'plain',
): T | undefined {
  const world = subject.split(' ')[0]
  return rows.find((row) => row.subject === `${world} ${kind}`)
}

/** `newest all` as the report names it. */
export function labelOf(subject: string): string {
  const [world = '', kind = ''] = subject.split(' ')
  const names: Record<string, string> = {
    plain: 'plain proxy_pass',
    map: 'map recipe',
    bare: 'the configuration without JavaScript',
    floor: 'empty handlers',
    padded: "empty handlers, the gate's code uncalled",
    identity: 'gate: keys, identity, ledger',
    body: 'gate: and body, metering',
    all: 'gate: and limits, budgets',
    'nginx-lua': 'nginx with Lua',
    haproxy: 'HAProxy with a map file',
    envoy: 'Envoy: keys, local limit, JSON log',
    smg: 'SMG: tenant key, counts nothing',
    portkey: 'Portkey gateway',
    litellm: 'LiteLLM proxy, one key',
  }
  return `${names[kind] ?? kind} (${world})`
}
