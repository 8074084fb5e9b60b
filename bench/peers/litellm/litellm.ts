import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../../src/cli/nginx/child.ts'
import { makeKeys } from '../../clients.ts'
import { benchCache } from '../../packages.ts'
import type { Peer } from '../peer.ts'

const INSTALL_MS_MAX = 600_000

/**
 * LiteLLM's proxy with one key for all, its master key: virtual keys need a PostgreSQL database, and
 * what they cost comes on top.
 */
export const litellm: Peer = {
  name: 'litellm',
  waitSeconds: 90,
  async prepare({ root, port, upstreamPort }) {
    const folder = await install()
    await writeFile(join(root, 'config.yaml'), conf(upstreamPort))
    const program = join(folder, 'bin', 'litellm')
    const address = ['--host', '127.0.0.1', '--port', `${port}`, '--num_workers', '1']
    return {
      command: [program, '--config', join(root, 'config.yaml'), ...address],
      env: { LITELLM_MASTER_KEY: makeKeys(1)[0]?.secret ?? '', LITELLM_LOG: 'ERROR' },
    }
  },
}

async function install(): Promise<string> {
  const folder = join(benchCache(), 'litellm')
  if (existsSync(join(folder, 'bin', 'litellm'))) return folder
  await mkdir(benchCache(), { recursive: true })
  const made = await run(['python3', '-m', 'venv', folder], { timeoutMs: INSTALL_MS_MAX })
  if (made.code !== 0) throw new Error('python3 cannot make a virtual environment')
  const pip = [join(folder, 'bin', 'pip'), 'install', '-q', 'litellm[proxy]']
  const ending = await run(pip, { timeoutMs: INSTALL_MS_MAX })
  if (ending.code !== 0) throw new Error('pip cannot install litellm[proxy]')
  return folder
}

function conf(upstreamPort: number): string {
  return `model_list:
  - model_name: bench-8b
    litellm_params:
      model: openai/bench-8b
      api_base: http://127.0.0.1:${upstreamPort}/v1
      api_key: none
litellm_settings:
  telemetry: false
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
`
}
