import type { Metafile } from 'esbuild'
import ts from 'typescript'

/** The bundle that this wall stands around, and what it is made of first; and the same for njs's own engine. */
export const GATE = 'dist/tollgate.js'
export const GATE_NJS = 'dist/tollgate-njs.js'
const ENTRY = 'src/gate.ts'

export type Size = { bytes: number; functions: number }

/**
 * The gate's bundle is in the memory of every open request on QuickJS: 2.5 KB per KB, and half a KB for
 * each of its functions (bench/NOTES.md), of which merge() has made few. The bound lets today's gate through and hardly more; it goes
 * down to the target when the long way leaves the bundle, of which the quick one needs a fifth.
 */
export const GATE_BOUND: Size = { bytes: 84 * 1024, functions: 90 }
export const GATE_TARGET: Size = { bytes: 18 * 1024, functions: 60 }

/** What njs's own engine makes anew for each request: a function at the top takes it 0.2k to 0.9k instructions. */
export const TOP_FUNCTIONS_MAX = 40

/** The rooms that may be in the bundle: what a request meets, in this order. */
export const GATE_ROOMS = ['core/admit', 'core/body', 'core/limits', 'core/meter', 'edge/gate']

/** The files besides, each for a reason of its own. Its whole room stays outside. */
export const GATE_FILES: Record<string, string> = {
  'src/gate.ts': 'the door: the names that nginx calls',
  'src/core/config/record.ts': 'how the record of a key stands in the zone',
  'src/core/ledger/line.ts': 'the line that a request leaves behind',
  'src/core/running.ts': 'how a request that runs stands in the zone',
  'src/core/time.ts': 'when a budget renews, for the refusal',
}

/** What of these is made at its first use, since a request on the quick way (src/edge/gate/quick.ts) needs none of it: see defer(). */
export function isSeldom(module: string, name: string): boolean {
  const quick = ['quick.ts', 'flow.ts', 'registry.ts'].map((file) => `src/edge/gate/${file}`)
  if (module.startsWith('src/edge/gate/') && !quick.includes(module)) return true
  return [
    'find',
    'giveUp',
    'giveBack',
    'giveBackTo',
    'giveBackRest',
    'endUpload',
    'quickFacts',
    'applyEdits',
    'keepWords',
    'readOddly',
  ].includes(name)
}

/** And what is made at the first piece of a stream on the quick way, but for what each event needs. */
export function isOfStreams(_: string, name: string): boolean {
  return [
    'mayFlow',
    'startFlow',
    'flowEnd',
    'isUsual',
    'lookAt',
    'showFlow',
    'flowOut',
    'timesOf',
    'endFlow',
  ].includes(name)
}

/** What njs itself gives to it. Not `fs`: a request that reads a file holds up its whole worker. */
const GATE_MODULES = ['crypto']

/** One row of what the build prints: a room, or a file that was let in by its name. */
export type Row = Size & { name: string }

/** Tells which files of a metafile have no business in the bundle, who imports them, and what to do. */
export function findIntruders({ inputs }: Pick<Metafile, 'inputs'>): string[] {
  const importersOf = (path: string) =>
    Object.keys(inputs).filter((from) => inputs[from]?.imports.some((to) => to.path === path))
  const problems: string[] = []
  for (const [from, { imports }] of Object.entries(inputs)) {
    for (const { path, external } of imports) {
      if (!external || GATE_MODULES.includes(path)) continue
      problems.push(`${path} may not be in ${GATE}, and ${from} imports it`)
    }
  }
  for (const path of Object.keys(inputs).filter((one) => !isAllowed(one))) {
    const importers = importersOf(path)
    // What only other intruders import goes with them.
    if (importers.length > 0 && !importers.some(isAllowed)) continue
    problems.push(
      [
        `${path} may not be in ${GATE}: its room ${roomOf(path)} is outside the wall`,
        ...importers.filter(isAllowed).map((from) => `  imported by ${from}`),
        `  on the way ${wayTo(path, inputs).join(' > ')}`,
        '  Use a type import, or move what every request needs into a room of the gate, and what none',
        '  needs behind src/admin.ts; only what belongs to both is named in build/wall.ts',
      ].join('\n'),
    )
  }
  return problems
}

/**
 * Bytes and functions that each room brings along. The bytes are esbuild's own count. The functions are those of the
 * bundle in `text`, after tree shaking, which has to be made without minifyWhitespace: then a comment
 * stands before each module and names it. Nothing else that minifies may differ from `minified`, of which
 * the bytes are: both must have the same number of functions.
 */
export function measureRooms(metafile: Metafile, text: string, minified: string): Row[] {
  const [output] = Object.values(metafile.outputs)
  if (!output) throw new Error(`Cannot measure ${GATE}: esbuild tells of no output`)
  const rows = new Map<string, Row>()
  const rowOf = (path: string) => {
    const name = rowName(path)
    const row = rows.get(name) ?? { name, bytes: 0, functions: 0 }
    rows.set(name, row)
    return row
  }
  for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
    rowOf(path).bytes += bytesInOutput
  }
  for (const [path, functions] of countByModule(text, Object.keys(metafile.inputs))) {
    rowOf(path).functions += functions
  }
  const sum = sumOf([...rows.values()], 'functions')
  const whole = countFunctions(parse(minified))
  if (sum !== whole) {
    throw new Error(`Cannot count functions: the rooms have ${sum}, all together ${whole}`)
  }
  return [...rows.values()].sort((a, b) => orderOf(a.name) - orderOf(b.name))
}

/** The size of a bundle. That of the gate has fewer functions than its rooms, see straighten(). */
export function sizeOf(text: string): Size {
  return { bytes: Buffer.byteLength(text), functions: countFunctions(parse(text)) }
}

/** Tells which bound is passed, and by which rooms most. */
export function findExcess(size: Size, rows: readonly Row[], bound: Size = GATE_BOUND): string[] {
  return (['bytes', 'functions'] as const)
    .filter((unit) => size[unit] > bound[unit])
    .map((unit) => {
      const largest = [...rows].sort((a, b) => b[unit] - a[unit]).slice(0, 3)
      const named = largest.map((row) => `${row.name} ${row[unit]}`).join(', ')
      return [
        `${GATE} has ${size[unit]} ${unit}, ${size[unit] - bound[unit]} above its bound of ${bound[unit]}`,
        `  most are in ${named}`,
        '  Move what requests do not need behind src/admin.ts',
      ].join('\n')
    })
}

/** Tells that more functions stand at the top of the bundle for njs's own engine than may. */
export function findTopExcess(text: string): string[] {
  const functions = countTop(text)
  if (functions <= TOP_FUNCTIONS_MAX) return []
  return [
    `${GATE_NJS} has ${functions} functions at its top, ${functions - TOP_FUNCTIONS_MAX} above its bound of ` +
      `${TOP_FUNCTIONS_MAX}\n  Name what few requests need in isSeldom() of build/wall.ts`,
  ]
}

/** What the build prints of that. */
export function describeTop(text: string): string {
  return (
    `${GATE_NJS.padEnd(30)}${String(Buffer.byteLength(text)).padStart(6)} bytes ` +
    `${String(countTop(text)).padStart(4)} functions at its top, of at most ${TOP_FUNCTIONS_MAX}`
  )
}

function countTop(text: string): number {
  return parse(text).statements.filter(ts.isFunctionDeclaration).length
}

/** What the build prints of the gate. */
export function describeGate(size: Size, rows: readonly Row[]): string {
  const row = (name: string, { bytes, functions }: Size) =>
    `${name.padEnd(30)}${String(bytes).padStart(6)} bytes ${String(functions).padStart(4)} functions`
  const isAbove = (one: Size) =>
    one.bytes > GATE_TARGET.bytes || one.functions > GATE_TARGET.functions
  const verdict = [
    ...(isAbove(size) ? ['the gate is above it'] : []),
    ...(isAbove(GATE_BOUND) ? ['its bound is above it'] : []),
  ]
  return [
    `${row(GATE, size)}, of at most ${GATE_BOUND.bytes} and ${GATE_BOUND.functions}`,
    ...rows.map((one) => row(`  ${one.name}`, one)),
    `  The target is ${GATE_TARGET.bytes} bytes and ${GATE_TARGET.functions} functions: ` +
      (verdict.join(', and ') || 'the gate and its bound keep to it'),
  ].join('\n')
}

/** `core/admit` of src/core/admit/route.ts; the path itself where that is in no room. */
export function roomOf(path: string): string {
  const room = /^src\/((?:core|edge|cli)\/[^/]+|\w+)\//.exec(path)
  return room?.[1] ?? path
}

function isAllowed(path: string): boolean {
  return path in GATE_FILES || GATE_ROOMS.includes(roomOf(path))
}

function rowName(path: string): string {
  return path in GATE_FILES ? path : roomOf(path)
}

/** In the order of the wall; what it does not know comes last. */
function orderOf(name: string): number {
  const at = [...GATE_ROOMS, ...Object.keys(GATE_FILES)].indexOf(name)
  return at < 0 ? Number.MAX_SAFE_INTEGER : at
}

function sumOf(rows: readonly Row[], unit: keyof Size): number {
  return rows.reduce((sum, row) => sum + row[unit], 0)
}

/** The shortest way of imports from the door, the path at its end. */
function wayTo(path: string, inputs: Metafile['inputs']): string[] {
  const ways = [[ENTRY]]
  const seen = new Set<string>()
  for (const way of ways) {
    const last = way[way.length - 1] ?? ENTRY
    if (last === path) return way
    for (const { path: next } of inputs[last]?.imports ?? []) {
      if (!seen.has(next)) ways.push([...way, next])
      seen.add(next)
    }
  }
  return [path]
}

function parse(text: string): ts.SourceFile {
  return ts.createSourceFile('bundle.js', text, ts.ScriptTarget.Latest, false, ts.ScriptKind.JS)
}

/** Functions, arrows and methods below a node, itself included. */
function countFunctions(node: ts.Node): number {
  let count = ts.isFunctionLike(node) ? 1 : 0
  ts.forEachChild(node, (child) => {
    count += countFunctions(child)
  })
  return count
}

/** esbuild writes `// src/core/admit/route.ts` before the first statement of each module. */
function countByModule(text: string, paths: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  let path = ENTRY
  for (const statement of parse(text).statements) {
    for (const { pos, end } of ts.getLeadingCommentRanges(text, statement.pos) ?? []) {
      const named = text.slice(pos, end).replace(/^\/\/ /, '')
      if (paths.includes(named)) path = named
    }
    counts.set(path, (counts.get(path) ?? 0) + countFunctions(statement))
  }
  return counts
}
