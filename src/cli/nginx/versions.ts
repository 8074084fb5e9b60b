import type { Engine } from './types.ts'

/** What an answer of a running nginx says of itself. */
export type Versions = { nginxVersion: string; njsVersion: string; engine: Engine }

/**
 * Compares two versions written as numbers between dots; anything after the numbers is ignored.
 * Negative when `a` is the older one, zero when they are equal, positive when it is the newer one.
 */
export function compareVersions(a: string, b: string): number {
  const left = numbersOf(a)
  const right = numbersOf(b)
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function numbersOf(version: string): number[] {
  return (/^\d+(\.\d+)*/.exec(version)?.[0] ?? '0').split('.').map(Number)
}

/** Why the gate cannot run on this njs, or null when it can. */
export function findVersionProblem(njsVersion: string): string | null {
  const isIn = (first: string, last: string) =>
    compareVersions(njsVersion, first) >= 0 && compareVersions(njsVersion, last) <= 0
  if (compareVersions(njsVersion, '0.8.2') < 0) {
    return `njs ${njsVersion} is older than 0.8.2, the first whose shared dictionary is sound`
  }
  // nginx/njs#795: every location and server keeps a whole engine.
  if (isIn('0.8.6', '0.8.8')) return `njs ${njsVersion} wastes memory per location, mended in 0.8.9`
  // nginx/njs#969 and #971: a js_set read while the log line is written. The ledger is just that.
  if (isIn('0.9.2', '0.9.2')) return 'njs 0.9.2 uses freed memory in access logs, mended in 0.9.3'
  if (isIn('0.9.7', '0.9.7')) return 'njs 0.9.7 cannot import crypto, mended in 0.9.8'
  return null
}

/**
 * The engine to configure, given whether `js_engine qjs;` was accepted. QuickJS is left alone
 * before njs 1.0.1: until then a context in its pool could be used after it was freed.
 */
export function chooseEngine(njsVersion: string, hasQuickJs: boolean): Engine {
  return hasQuickJs && compareVersions(njsVersion, '1.0.1') >= 0 ? 'qjs' : 'njs'
}
