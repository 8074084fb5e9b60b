import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageDir } from '../src/cli/install/layout.ts'
import { type Context, openContext } from './context.ts'
import { guard } from './guard.ts'
import { describeMachine } from './machine.ts'
import { listNotes, say, tell } from './notes.ts'
import { type Options, type Part, readOptions, USAGE } from './options.ts'
import { measureBundles } from './parts/bundles.ts'
import { measureFolding } from './parts/folding.ts'
import { measureInstructions } from './parts/instructions.ts'
import { measureLoading } from './parts/loading.ts'
import { measureMemory } from './parts/memory.ts'
import { checkMock } from './parts/mock.ts'
import { measurePeers } from './parts/peers.ts'
import { measureBodies, measureKeys, measureRequests, measureSingle } from './parts/requests.ts'
import { measureReuse } from './parts/reuse.ts'
import { measureSoak } from './parts/soak.ts'
import { measureStartup } from './parts/startup.ts'
import { measureStreams } from './parts/streams.ts'
import { writeCharts } from './report/charts.ts'
import { formatReport } from './report/report.ts'
import { formatTargets } from './report/targets.ts'
import type { Results } from './results.ts'

const options = readOptions(process.argv.slice(2), join(packageDir(), 'bench'))
if (options === null) console.log(USAGE)
else if (options.guard !== null) {
  if (!(await guard(options.guard === 'record'))) process.exitCode = 1
} else await run(options)

async function run(options: Options): Promise<void> {
  const beganMs = performance.now()
  const machine = describeMachine()
  const context = await openContext(options)
  try {
    const results = await measureAll(context, { ...(await readEarlier(options)), machine })
    await write(options, results)
    console.log(formatTargets(results).join('\n'))
  } finally {
    await context.end()
  }
  tell(`Done in ${Math.round((performance.now() - beganMs) / 1000)} s: ${options.out}/RESULTS.md`)
}

/** With --only, what the other parts have found before stays. */
async function readEarlier(options: Options): Promise<Partial<Results>> {
  const file = join(options.out, 'results.json')
  if (!options.isPartial || !existsSync(file)) return {}
  return JSON.parse(await readFile(file, 'utf8'))
}

async function measureAll(
  context: Context,
  earlier: Partial<Results> & Pick<Results, 'machine'>,
): Promise<Results> {
  const { options } = context
  const none = { requests: [], streams: [], memory: [] }
  // In the order of PARTS; an await inside of an object literal keeps it.
  const part = async <T>(name: Part, measure: (c: Context) => Promise<T>, or: T): Promise<T> => {
    if (!options.parts.includes(name)) return or
    tell(name)
    try {
      return await measure(context)
    } catch (error) {
      // The others are half an hour of work.
      say(`Left out: ${name}, ${error instanceof Error ? error.message : error}`)
      return or
    }
  }
  return {
    date: new Date().toISOString(),
    isQuick: options.isQuick,
    machine: earlier.machine,
    versions: versionsOf(context),
    loadTool: context.loader.name,
    mock: await checkMock(context),
    requests: await part('requests', measureRequests, earlier.requests ?? []),
    single: await part('single', measureSingle, earlier.single ?? []),
    instructions: await part('instructions', measureInstructions, earlier.instructions ?? []),
    bodies: await part('bodies', measureBodies, earlier.bodies ?? []),
    keys: await part('keys', measureKeys, earlier.keys ?? []),
    folding: await part('folding', measureFolding, earlier.folding ?? []),
    streams: await part('streams', measureStreams, earlier.streams ?? []),
    memory: await part('memory', measureMemory, earlier.memory ?? []),
    reuse: await part('reuse', measureReuse, earlier.reuse ?? []),
    loading: await part('loading', measureLoading, earlier.loading ?? []),
    startup: await part('startup', measureStartup, earlier.startup ?? []),
    bundles: await measureBundles(),
    peers: await part('peers', measurePeers, earlier.peers ?? none),
    soak: await part('soak', measureSoak, earlier.soak ?? []),
    notes: listNotes(),
  }
}

function versionsOf({ subjects }: Context): Results['versions'] {
  return subjects
    .filter(({ kind }) => kind === 'plain')
    .map(({ world, nginx }) => ({
      world,
      nginx: nginx.nginxVersion,
      njs: nginx.njsVersion,
      engine: nginx.engine,
    }))
}

async function write(options: Options, results: Results): Promise<void> {
  await mkdir(join(options.out, 'charts'), { recursive: true })
  await writeFile(join(options.out, 'results.json'), `${JSON.stringify(results, null, 2)}\n`)
  const charts = await writeCharts(join(options.out, 'charts'), results)
  await writeFile(join(options.out, 'RESULTS.md'), formatReport(results, charts))
}
