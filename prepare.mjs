// What `npm start` and `npm test` run first: installs the packages and builds, if that is needed.
// Plain Node without dependencies, since there may be none yet. With nothing to do it is silent.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SOURCES = [
  'build',
  'src',
  'docs/openapi.json',
  'build.mjs',
  'package.json',
  'package-lock.json',
]
const BUILT = [
  'tollgate.js',
  'tollgate-njs.js',
  'tollgate-rare.js',
  'tollgate-admin.js',
  'tollgate-cli.mjs',
  'mock-vllm.mjs',
  'policy.schema.json',
  'clients.schema.json',
  'console/openapi.json',
  'console/index.html',
]
/** npm writes it last, so it is as old as the packages. */
const INSTALLED = 'node_modules/.package-lock.json'
/** Remembers when the last build began: esbuild leaves a file alone that would not change. */
const STAMP = 'node_modules/.tollgate-built'
const NODE_MAJOR_MIN = 20

process.chdir(dirname(fileURLToPath(import.meta.url)))
if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
  fail(`Tollgate needs Node ${NODE_MAJOR_MIN} or newer; this is ${process.versions.node}`)
}
if (timeOf(INSTALLED) < timeOf('package-lock.json')) {
  say('Installing the npm packages, as package-lock.json names them (10 to 60 seconds)')
  run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund'])
}
const builtMs = BUILT.every((name) => existsSync(join('dist', name))) ? timeOf(STAMP) : 0
if (builtMs < Math.max(...SOURCES.map(newestIn))) {
  say('Building')
  const startedSeconds = Date.now() / 1000
  run(process.execPath, ['build.mjs'])
  writeFileSync(STAMP, '')
  utimesSync(STAMP, startedSeconds, startedSeconds)
}

function timeOf(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function newestIn(path) {
  const found = statSync(path)
  if (!found.isDirectory()) return found.mtimeMs
  const names = readdirSync(path)
  // A folder's own time tells of files that were removed.
  return Math.max(found.mtimeMs, ...names.map((name) => newestIn(join(path, name))))
}

// What they print goes to stderr: stdout belongs to the command that runs next.
function run(file, args) {
  const { status, error } = spawnSync(file, args, { stdio: ['ignore', 2, 2] })
  if (status === 0) return
  const cause = error ? error.message : `exit code ${status}`
  fail(`Cannot run ${file.includes('node') ? 'node' : file} ${args.join(' ')}: ${cause}`)
}

function say(line) {
  process.stderr.write(`${line}\n`)
}

function fail(message) {
  say(message)
  process.exit(1)
}
