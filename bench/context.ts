import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chooseLoader, type Loader } from './load/load.ts'
import type { Options } from './options.ts'
import { listSubjects, type Subject } from './subjects.ts'
import { startFixed, startUpstream, type Upstream } from './upstream.ts'

/** What all parts of a run share. */
export type Context = {
  options: Options
  subjects: Subject[]
  /** The mock, and what answers small requests in its place. */
  upstream: Upstream
  fixed: Upstream
  /** What makes the loads of requests. */
  loader: Loader
  /** A folder for bodies and keys. */
  folder: string
  end(): Promise<void>
}

export async function openContext(options: Options): Promise<Context> {
  const subjects = await listSubjects()
  const loader = await chooseLoader(options.isWithoutWrk)
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-bench-'))
  const upstream = await startUpstream()
  const [first] = subjects
  if (first === undefined) throw new Error('There is no nginx to measure')
  const fixed = await startFixed(first.nginx)
  const end = async () => {
    await upstream.stop()
    await fixed.stop()
    await rm(folder, { recursive: true, force: true })
  }
  return { options, subjects, upstream, fixed, loader, folder, end }
}
