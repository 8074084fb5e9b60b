import { readdir, readFile } from 'node:fs/promises'
import { dirname, isAbsolute, join, sep } from 'node:path'
import { splitDirectives } from '../map/words.ts'

/** A line or block of nginx's configuration. `block` is null when it ends with a semicolon. */
export type Directive = {
  name: string
  args: string[]
  block: Directive[] | null
  file: string
  /** Counted from 1. */
  line: number
}

const INCLUDES_DEEP_MAX = 10

/**
 * Reads nginx.conf with all that it includes. It reads the files itself instead of what `nginx -T`
 * prints, which is nothing when there is a mistake anywhere. What cannot be read is left out. An `include` stands
 * before what it includes.
 */
export async function readDirectives(path: string): Promise<Directive[]> {
  return readInto(path, dirname(path), 0)
}

/** All directives of a name, at any depth. */
export function findAll(directives: readonly Directive[], name: string): Directive[] {
  return directives.flatMap((directive) => [
    ...(directive.name === name ? [directive] : []),
    ...findAll(directive.block ?? [], name),
  ])
}

async function readInto(path: string, confDir: string, depth: number): Promise<Directive[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return expand(parseDirectives(text, path), confDir, depth)
}

async function expand(
  directives: Directive[],
  confDir: string,
  depth: number,
): Promise<Directive[]> {
  const expanded: Directive[] = []
  for (const directive of directives) {
    if (directive.block) directive.block = await expand(directive.block, confDir, depth)
    expanded.push(directive)
    const pattern = directive.name === 'include' ? (directive.args[0] ?? '') : ''
    if (pattern === '' || depth >= INCLUDES_DEEP_MAX) continue
    const absolute = isAbsolute(pattern) ? pattern : join(confDir, pattern)
    for (const file of await glob(absolute)) {
      expanded.push(...(await readInto(file, confDir, depth + 1)))
    }
  }
  return expanded
}

/** The files that a pattern with *, ? and [ ] in it means, in the order in which nginx reads them. */
async function glob(pattern: string): Promise<string[]> {
  let found = ['/']
  for (const part of pattern.split(sep).filter((word) => word !== '')) {
    const next: string[] = []
    for (const folder of found) {
      if (!/[*?[]/.test(part)) next.push(join(folder, part))
      else next.push(...(await match(folder, part)))
    }
    found = next
  }
  return found
}

async function match(folder: string, part: string): Promise<string[]> {
  const source = part
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  const pattern = new RegExp(`^${source}$`)
  const names = await readdir(folder).catch(() => [])
  const isHiddenWanted = part.startsWith('.')
  return names
    .filter((name) => pattern.test(name) && (isHiddenWanted || !name.startsWith('.')))
    .sort()
    .map((name) => join(folder, name))
}

/**
 * Reads directives out of a text. It never throws, and ends at the first mistake: nginx itself tells what
 * is wrong there.
 */
export function parseDirectives(text: string, file: string): Directive[] {
  const root: Directive[] = []
  const open: Directive[][] = [root]
  for (const { words, end, line } of splitDirectives(text)) {
    if (end === 'close') {
      if (open.length > 1) open.pop()
      continue
    }
    const [name = '', ...args] = words.map((word) => word.text)
    const block = end === 'open' ? [] : null
    if (end !== 'broken') open.at(-1)?.push({ name, args, block, file, line })
    if (block) open.push(block)
  }
  return root
}
