import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gateOf, packageDir } from '../../src/cli/install/layout.ts'
import type { Subject } from '../subjects.ts'

/** Makes of the gate that stands in `dir`, a folder of includes, the floor that a subject is; does nothing for the others. */
export async function layFloor({ kind, nginx }: Subject, dir: string): Promise<void> {
  const bundle = join(dir, 'tollgate.js')
  if (kind === 'floor') await writeFile(bundle, await readEmpty())
  if (kind === 'padded') await writeFile(bundle, await pad(await readEmpty(), gateOf(nginx.engine)))
  if (kind === 'bare') await stripScripts(dir)
}

function readEmpty(): Promise<string> {
  return readFile(join(packageDir(), 'bench', 'floors', 'empty.js'), 'utf8')
}

/** As large as the gate, of just such functions, and does nothing: they are its own, without their door. */
async function pad(floor: string, name: string): Promise<string> {
  const gate = await readFile(join(packageDir(), 'dist', name), 'utf8')
  const door = gate.lastIndexOf('export default')
  if (door < 0) throw new Error(`Cannot find the door of dist/${name}`)
  return `${gate.slice(0, door)}\n${floor}`
}

/** What the empty handlers say. */
const SAID: Record<string, string> = {
  $tg_admission: 'ok',
  $tg_target: 'ok',
  $tollgate_settled: '"outcome":"ok"',
}

/** Takes all scripts out of the includes: what they say is a map of one value. Nothing of the rest changes. */
async function stripScripts(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    if (!name.endsWith('.conf')) continue
    const text = await readFile(join(dir, name), 'utf8')
    const bare = text
      .replace(/^( *)js_(?:set|var) (\$\w+)[^;]*;/gm, (_, space: string, variable: string) => {
        return `${space}map $pid ${variable} { default '${SAID[variable] ?? ''}'; }`
      })
      .replace(/^ *js_\w+ [^;]*;/gm, '')
    await writeFile(join(dir, name), bare)
  }
}
