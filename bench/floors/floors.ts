import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gateOf, packageDir } from '../../src/cli/install/layout.ts'
import type { Subject } from '../subjects.ts'

/** The bundle that stands in the gate's place for a subject that is a floor; null for the others. */
export async function floorOf({ kind, nginx }: Subject): Promise<string | null> {
  switch (kind) {
    case 'floor':
      return readFloor('empty')
    case 'padded':
      return pad(await readFloor('empty'), gateOf(nginx.engine))
    case 'needed-identity':
    case 'needed-body':
    case 'needed-all':
      return readFloor('needed')
    default:
      return null
  }
}

function readFloor(name: string): Promise<string> {
  return readFile(join(packageDir(), 'bench', 'floors', `${name}.js`), 'utf8')
}

/** As large as the gate, of just such functions, and does nothing: they are its own, without their door. */
async function pad(floor: string, name: string): Promise<string> {
  const gate = await readFile(join(packageDir(), 'dist', name), 'utf8')
  const door = gate.lastIndexOf('export default')
  if (door < 0) throw new Error(`Cannot find the door of dist/${name}`)
  return `${gate.slice(0, door)}\n${floor}`
}
