import { join } from 'node:path'
import { makeKeys } from '../../clients.ts'
import { installPython } from '../../packages.ts'
import type { Peer } from '../peer.ts'

/** SMG, a gateway in Rust that comes as a Python package, with one tenant and its key. */
export const smg: Peer = {
  name: 'smg',
  waitSeconds: 60,
  async prepare({ root, port, upstreamPort }) {
    const programs = await installPython('smg', 'smg')
    const [key] = makeKeys(1)
    const options = {
      '--host': '127.0.0.1',
      '--port': `${port}`,
      '--worker-urls': `http://127.0.0.1:${upstreamPort}`,
      '--backend': 'openai',
      '--tenant-api-key': `${key?.client}:${key?.secret}`,
      '--log-dir': join(root, 'logs'),
      '--log-level': 'error',
    }
    const given = Object.entries(options).flat()
    return { command: [join(programs, 'smg'), 'launch', ...given, '--disable-health-check'] }
  },
}
