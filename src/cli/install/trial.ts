import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { readDirectives } from './directives.ts'
import { type Fault, isSame } from './fault.ts'
import { findFaults } from './faults.ts'
import { testConfiguration } from './installed.ts'
import { type Layout, layOut, listTouched, type Placed } from './layout.ts'

/** What came of laying files out. */
export type Trial = {
  /** false: the site does not go with them, and all is as it was, but for NAME.new. */
  isApplied: boolean
  files: Placed[]
  /** What `nginx -t` says of them. */
  test: { isValid: boolean; message: string }
  /** What is wrong with the lines of the site. */
  faults: Fault[]
}

type Kept = { path: string; bytes: Buffer; mode: number } | { path: string; bytes: null }

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Lays out the files, and takes them back when nginx accepted its configuration before and does not with
 * them, or when they do not go with the lines of the site. Nothing that runs notices: nginx reads them at a reload.
 */
export async function tryLayout(
  layout: Layout,
  command: string[],
  configuration: string,
): Promise<Trial> {
  const look = async () => findFaults(await readDirectives(configuration), layout.nginxDir)
  const [before, known] = [await testConfiguration(command, configuration), await look()]
  const kept = await keep(await listTouched(layout))
  const release = holdSignals()
  try {
    const files = await layOut(layout)
    const [test, faults] = [await testConfiguration(command, configuration), await look()]
    const isNew = (fault: Fault) => !known.some((one) => isSame(one, fault)) && !fault.isForLater
    const isApplied = !before.isValid || (test.isValid && !faults.some(isNew))
    if (!isApplied) await putBack(kept)
    return { isApplied, files, test, faults }
  } catch (error) {
    await putBack(kept)
    throw error
  } finally {
    release()
  }
}

function keep(paths: readonly string[]): Promise<Kept[]> {
  return Promise.all(
    paths.map(async (path): Promise<Kept> => {
      const bytes = await readFile(path).catch(() => null)
      if (bytes === null) return { path, bytes }
      return { path, bytes, mode: (await stat(path)).mode & 0o7777 }
    }),
  )
}

async function putBack(kept: readonly Kept[]): Promise<void> {
  for (const one of kept) {
    if (one.bytes === null) {
      await rm(one.path, { force: true })
      continue
    }
    const there = await readFile(one.path).catch(() => null)
    if (there?.equals(one.bytes)) continue
    await writeFile(one.path, one.bytes, { mode: one.mode })
    await chmod(one.path, one.mode)
  }
}

/** Whoever presses Ctrl-C in between must not be left with half of the files. */
function holdSignals(): () => void {
  const wait = () => undefined
  for (const name of SIGNALS) process.on(name, wait)
  return () => {
    for (const name of SIGNALS) process.off(name, wait)
  }
}
