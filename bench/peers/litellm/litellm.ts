import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeKeys } from '../../clients.ts'
import { installPython } from '../../packages.ts'
import type { Peer } from '../peer.ts'

/**
 * LiteLLM's proxy with one key for all, its master key: virtual keys need a PostgreSQL database, and
 * what they cost comes on top.
 */
export const litellm: Peer = {
  name: 'litellm',
  waitSeconds: 90,
  async prepare({ root, port, upstreamPort }) {
    const programs = await installPython('litellm', 'litellm[proxy]')
    await writeFile(join(root, 'config.yaml'), conf(upstreamPort))
    const program = join(programs, 'litellm')
    const address = ['--host', '127.0.0.1', '--port', `${port}`, '--num_workers', '1']
    return {
      command: [program, '--config', join(root, 'config.yaml'), ...address],
      env: { LITELLM_MASTER_KEY: makeKeys(1)[0]?.secret ?? '', LITELLM_LOG: 'ERROR' },
    }
  },
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
