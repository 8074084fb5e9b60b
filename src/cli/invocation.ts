import { basename, relative, sep } from 'node:path'

/** How this command was called, so that what is printed can be pasted: `npx tollgate`. */
export function invocation(script = process.argv[1] ?? 'tollgate', cwd = process.cwd()): string {
  if (script.split(sep).includes('node_modules')) return 'npx tollgate'
  if (basename(script) === 'tollgate') return 'tollgate'
  const near = relative(cwd, script)
  return `node ${quote(near.startsWith('..') ? script : near)}`
}

/** A word for a shell, quoted where it has to be. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
