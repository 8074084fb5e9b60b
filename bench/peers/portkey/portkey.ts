import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../../src/cli/nginx/child.ts'
import { benchCache } from '../../packages.ts'
import type { Peer } from '../peer.ts'

const PACKAGE = '@portkey-ai/gateway'
const INSTALL_MS_MAX = 180_000

/** Portkey's open gateway on Node. It has no keys of its own: it routes by headers. */
export const portkey: Peer = {
  name: 'portkey',
  waitSeconds: 30,
  async prepare({ port }) {
    const folder = await install()
    const file = join(folder, 'node_modules', PACKAGE, 'build', 'start-server.js')
    return {
      command: [process.execPath, file, `--port=${port}`, '--headless'],
      env: { NODE_ENV: 'production' },
    }
  },
  headers: (upstreamPort) => ({
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `http://127.0.0.1:${upstreamPort}/v1`,
  }),
}

async function install(): Promise<string> {
  const folder = join(benchCache(), 'portkey')
  if (existsSync(join(folder, 'node_modules', PACKAGE))) return folder
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), '{"private":true}\n')
  const ending = await run(['npm', 'install', '--no-audit', '--no-fund', PACKAGE], {
    timeoutMs: INSTALL_MS_MAX,
    cwd: folder,
  })
  if (ending.code !== 0) throw new Error(`npm cannot install ${PACKAGE}`)
  return folder
}
