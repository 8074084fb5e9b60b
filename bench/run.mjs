// Starts the bench: bundles its programs, as Node 20 does not read TypeScript, and runs the main one.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const outdir = join(root, 'node_modules', '.cache', 'tollgate-bench')

await build({
  absWorkingDir: root,
  entryPoints: {
    main: 'bench/main.ts',
    mock: 'bench/mock/main.ts',
    requests: 'bench/load/requests.ts',
    streams: 'bench/load/streams.ts',
  },
  outdir,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20',
})
const args = [join(outdir, 'main.mjs'), ...process.argv.slice(2)]
const { status } = spawnSync(process.execPath, args, { stdio: 'inherit', cwd: root })
process.exitCode = status ?? 1
