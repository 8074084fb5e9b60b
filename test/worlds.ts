import type { Reporter, TestModule, TestState } from 'vitest/node'

/** The names that setups.ts gives to its worlds begin the names of their tests, in quotes or not. */
const WORLD = /^'?(newest|debian13|container)(?:'|: | > )/
/** All of them are in a whole run, and each is told of when it is not; a container takes an engine. */
const WORLDS = ['newest', 'debian13', 'container']

type Counts = { passed: number; failed: number; skipped: number; broken: number }

/** Prints at the end how many tests ran in which world, so that one sees that each did. */
export default class Worlds implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    console.log(describeWorlds(modules.map(toFile)).join('\n'))
  }
}

/**
 * A file of tests: its project, and the full names with their states. It is not whole when it failed and
 * none of its tests did: it could not be read, or a hook has thrown, and its tests were skipped.
 */
export type File = {
  project: string
  isWhole: boolean
  tests: { name: string; state: TestState }[]
}

function toFile(module: TestModule): File {
  const tests = [...module.children.allTests()].map((test) => ({
    name: test.fullName,
    state: test.result().state,
  }))
  const isWhole = module.state() !== 'failed' || tests.some(({ state }) => state === 'failed')
  return { project: module.project.name, isWhole, tests }
}

/** One line for the units, for each world, and for what starts an nginx of its own. */
export function describeWorlds(files: readonly File[]): string[] {
  const counts = new Map<string, Counts>()
  const hasNginx = files.some(({ project }) => project === 'nginx')
  const countsOf = (name: string) => {
    const found = counts.get(name) ?? { passed: 0, failed: 0, skipped: 0, broken: 0 }
    counts.set(name, found)
    return found
  }
  // In this order, and also those in which nothing ran.
  for (const name of ['unit', ...(hasNginx ? WORLDS : [])]) countsOf(name)
  for (const { project, isWhole, tests } of files) {
    if (!isWhole) countsOf(project).broken++
    for (const { name, state } of tests) {
      const found = countsOf(project === 'unit' ? project : worldOf(name))
      // What has not come to an end has not passed either.
      if (state === 'pending') found.skipped++
      else found[state]++
    }
  }
  return ['', ...[...counts].map(([name, found]) => `  ${name.padEnd(24)}${describe(found)}`), '']
}

function worldOf(name: string): string {
  return WORLD.exec(name)?.[1] ?? 'an nginx of their own'
}

function describe({ passed, failed, skipped, broken }: Counts): string {
  if (passed + failed + skipped + broken === 0) return ' none ran'
  const parts = [
    `${String(passed).padStart(5)} passed`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(broken > 0 ? [`files that failed as a whole: ${broken}`] : []),
  ]
  return parts.join(', ')
}
