import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { say } from './notes.ts'
import { commandIn, unpackPackages } from './packages.ts'

/** A program of this machine, by its name on PATH; null when there is none. */
export function findOnPath(name: string): string | null {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(folder, name)
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {}
  }
  return null
}

/** A tool of this machine, or unpacked from its Debian package of the same name; null with a note. */
export async function findTool(name: string): Promise<string[] | null> {
  const file = findOnPath(name)
  if (file !== null) return [file]
  try {
    return await commandIn(await unpackPackages(name, [name]), `usr/bin/${name}`)
  } catch (error) {
    say(`Left out: ${name}, ${error instanceof Error ? error.message : error}`)
    return null
  }
}
