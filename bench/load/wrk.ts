import { join } from 'node:path'
import { packageDir } from '../../src/cli/install/layout.ts'
import { pin } from '../machine.ts'
import { findTool } from '../tools.ts'
import type { RequestLoad } from './load.ts'

/** The command line of wrk for a load. */
export type Wrk = (load: RequestLoad) => string[]

/** wrk of the system or from its package; null where there is neither, and a line has said so. */
export async function findWrk(): Promise<Wrk | null> {
  const command = await findTool('wrk')
  return command === null ? null : commandOf(command)
}

function commandOf(command: string[]): Wrk {
  const script = join(packageDir(), 'bench', 'load', 'wrk.lua')
  return (load) => [
    ...pin('client', [...command, '-t1', `-c${load.connections}`, `-d${load.seconds}s`]),
    '--timeout',
    '30s',
    '-s',
    script,
    `http://127.0.0.1:${load.port}`,
    '--',
    load.keysFile,
    load.bodyFile,
    load.path,
    ...Object.entries(load.headers ?? {}).flat(),
  ]
}
