// Starts the comparison with real engines: bundles it, as Node 20 does not read TypeScript, and runs it.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const outfile = join(root, 'node_modules', '.cache', 'tollgate-engines', 'main.mjs')

await build({
  absWorkingDir: root,
  entryPoints: ['test/engines/main.ts'],
  outfile,
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20',
})
const args = [outfile, ...process.argv.slice(2)]
const { status } = spawnSync(process.execPath, args, { stdio: 'inherit', cwd: root })
process.exitCode = status ?? 1
