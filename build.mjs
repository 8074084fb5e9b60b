// Builds everything below dist/ and prints the sizes. `node build.mjs` is all there is to it.
// It also writes those includes below nginx/tollgate/ that are made, see build/includes.ts.
// Two walls stand in it: build/rooms.ts, between the rooms of src/, and build/wall.ts, around the gate.
//
//   tollgate.js        the gate: what nginx loads where requests flow, for QuickJS
//   tollgate-njs.js    the same for njs's own engine, see build/defer.ts
//   tollgate-rare.js   our own pages: what nginx loads where few requests come
//   tollgate-admin.js  housekeeping: what nginx loads beside them
//   tollgate-cli.mjs   the command, for Node, with its dependencies inside
//   mock-vllm.mjs      the mock server by itself, for docker-compose.yml
//   *.schema.json      the JSON Schemas of the configuration files, from src/core/config/schema.ts
//   console/           what the admin listener serves as files: the console, and docs/openapi.json
import { rmSync } from 'node:fs'
import { chmod, copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

/** The whole console as it travels, gzip: somebody may open it through a tunnel on a slow line. */
const CONSOLE_BYTES_MAX = 150 * 1024

/**
 * What the njs engine cannot parse is a build error (reference: njs 1.0.2's own engine, which is
 * still ES5 with additions), unless esbuild lowers it, as it does `?.`, `??=`, `catch {}` and the
 * spread of objects.
 */
const UNSUPPORTED = [
  'class',
  'class-field',
  'class-private-field',
  'class-static-field',
  'default-argument',
  'array-spread',
  'object-rest-spread',
  'rest-argument',
  'destructuring',
  'for-of',
  'for-await',
  'generator',
  'async-generator',
  'optional-chain',
  'logical-assignment',
  'optional-catch-binding',
  'new-target',
  'bigint',
  'top-level-await',
  'dynamic-import',
  'import-meta',
  'using',
  'regexp-dot-all-flag',
  'regexp-sticky-and-unicode-flags',
]

/** Found in a bundle, each of these is a mistake that neither types nor syntax can see. */
const FORBIDDEN = [
  [/\b(?:Map|Set|WeakMap|Proxy|Reflect|BigInt)\b(?=\()/, 'a global that the njs engine lacks'],
  [/\.(?:at|flat|flatMap|findLast|matchAll|normalize|localeCompare)\(/, 'a missing method'],
  [/\b(?:Array\.from|Object\.(?:fromEntries|hasOwn))\b/, 'a function that the njs engine lacks'],
  [/\bsendBuffer\(\w+,\s*\w+\)/, 'sendBuffer with flags, which stops streaming on QuickJS'],
  [/\w\(await\b|,\s*await\b/, 'an await among arguments, which njs 0.8 cannot parse'],
  [/\brequire\(|\beval\(|\bnew Function\b/, 'code loaded at run time'],
]

const njsOptions = {
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'neutral',
  target: 'es2017',
  external: ['crypto', 'fs'],
  charset: 'utf8',
  legalComments: 'none',
  supported: Object.fromEntries(UNSUPPORTED.map((name) => [name, false])),
}

/** Not minified: minifying moves an await among arguments, and nobody's stream holds this bundle. */
const readable = { minify: false }

async function buildBundle(source, name, options) {
  const outfile = `dist/${name}`
  const { metafile } = await build({
    ...njsOptions,
    ...options,
    entryPoints: [source],
    outfile,
    metafile: true,
  })
  const text = await readFile(outfile, 'utf8')
  refuseForbidden(outfile, text)
  return { metafile, text }
}

function refuseForbidden(outfile, text) {
  for (const [pattern, why] of FORBIDDEN) {
    const found = pattern.exec(text)
    if (found) throw new Error(`${outfile} holds "${found[0]}": ${why}`)
  }
}

/**
 * The gate, whose functions stand where they are called, once for each engine; and the same before that, for the
 * wall to count by.
 */
async function buildGate(source) {
  const options = { ...njsOptions, entryPoints: [source], write: false, metafile: true }
  const { outputFiles, metafile } = await build(options)
  const plain = await build({ ...options, minify: false })
  const { putConstants } = await load('build/constants.ts')
  const { defer, usualNames } = await load('build/defer.ts')
  const { straighten } = await load('build/straighten.ts')
  const wall = await load('build/wall.ts')
  const flat = putConstants(plain.outputFiles[0].text)
  const often = usualNames(flat, (...one) => wall.isSeldom(...one) || wall.isOfStreams(...one))
  const deferred = defer(defer(flat, wall.isSeldom, 'Seldom'), wall.isOfStreams, 'Streams')
  const made = { [wall.GATE]: [flat, often, 'QuickJS'], [wall.GATE_NJS]: [deferred, null, 'njs'] }
  const texts = await Promise.all(
    Object.entries(made).map(async ([outfile, [all, kept, engine]]) => {
      const text = await straighten(all.replaceAll('njs.engine', `"${engine}"`), kept)
      refuseForbidden(outfile, text)
      await writeFile(outfile, text)
      return text
    }),
  )
  return { metafile, text: texts[0], njsText: texts[1], minified: outputFiles[0].text }
}

/** The gate's bundle once more, with a comment before each module, for the wall to count by. */
async function readByModule(source) {
  const options = { ...njsOptions, minifyWhitespace: false, write: false }
  const { outputFiles } = await build({
    ...options,
    minify: false,
    minifyIdentifiers: true,
    minifySyntax: true,
    entryPoints: [source],
  })
  return outputFiles[0].text
}

/** Programs for Node take their dependencies with them, so that dist/ can be copied anywhere. */
async function buildProgram(source, name) {
  const outfile = `dist/${name}`
  await build({
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    mainFields: ['module', 'main'],
    legalComments: 'eof',
    banner: {
      js: [
        '#!/usr/bin/env node',
        "import { createRequire as tollgateRequire } from 'node:module'",
        'const require = tollgateRequire(import.meta.url)',
      ].join('\n'),
    },
  })
  await chmod(outfile, 0o755)
  return (await stat(outfile)).size
}

/**
 * The console, for browsers of 2023 and later. Everything is in files of our own, since its content
 * security policy allows nothing else: no inline script or style, no other host.
 */
async function buildConsole() {
  const outdir = 'dist/console'
  await rm(outdir, { recursive: true, force: true })
  await mkdir(outdir, { recursive: true })
  await build({
    entryPoints: { app: 'src/console/main.tsx' },
    outdir,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: ['chrome111', 'firefox113', 'safari16.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    charset: 'utf8',
    legalComments: 'eof',
  })
  for (const name of ['index.html', 'icon.svg']) {
    await copyFile(join('src/console', name), join(outdir, name))
  }
  let bytes = 0
  for (const name of await readdir(outdir)) {
    bytes += gzipSync(await readFile(join(outdir, name)), { level: 9 }).length
  }
  return bytes
}

/** Imports TypeScript, which Node 20 cannot. */
async function load(source) {
  const outfile = 'dist/loaded.tmp.mjs'
  const packages = 'external'
  await build({
    entryPoints: [source],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages,
  })
  try {
    return await import(`${pathToFileURL(outfile).href}?${source}`)
  } finally {
    await rm(outfile)
  }
}

async function buildSchemas() {
  const schemas = await load('src/core/config/schema.ts')
  await writeFile('dist/policy.schema.json', print(schemas.policySchema()))
  await writeFile('dist/clients.schema.json', print(schemas.clientsSchema()))
}

/** What nginx is told out of the tables of src/core. It is checked in, and so written only when it differs. */
async function writeIncludes() {
  const { makeIncludes } = await load('build/includes.ts')
  for (const [name, text] of Object.entries(makeIncludes())) {
    const file = join('nginx/tollgate', name)
    if ((await readFile(file, 'utf8').catch(() => '')) === text) continue
    await writeFile(file, text)
    console.log(`${file} is written anew`)
  }
}

async function copyStatic() {
  await mkdir('dist/console', { recursive: true })
  await copyFile('docs/openapi.json', 'dist/console/openapi.json')
}

function failOn(problems) {
  for (const problem of problems) console.error(problem)
  if (problems.length === 0) return
  // Nobody is to install what a wall has refused.
  for (const name of ['tollgate.js', 'tollgate-njs.js']) rmSync(`dist/${name}`, { force: true })
  process.exit(1)
}

function print(schema) {
  return `${JSON.stringify(schema, null, 2)}\n`
}

await mkdir('dist', { recursive: true })
// First, since what goes through a wall mostly cannot be bundled either.
const { findTrespasses, readAllImports } = await load('build/rooms.ts')
failOn(findTrespasses(readAllImports('src')))

const wall = await load('build/wall.ts')
const gate = await buildGate('src/gate.ts')
const rare = await buildBundle('src/rare.ts', 'tollgate-rare.js', {})
const admin = await buildBundle('src/admin.ts', 'tollgate-admin.js', readable)
const commandBytes = await buildProgram('src/cli/main.ts', 'tollgate-cli.mjs')
await buildProgram('src/mock/main.ts', 'mock-vllm.mjs')
await buildSchemas()
await writeIncludes()
const consoleBytes = await buildConsole()
await copyStatic()

const rows = wall.measureRooms(gate.metafile, await readByModule('src/gate.ts'), gate.minified)
const gateSize = wall.sizeOf(gate.text)
console.log(wall.describeGate(gateSize, rows))
console.log(wall.describeTop(gate.njsText))
console.log(`dist/tollgate-rare.js         ${Buffer.byteLength(rare.text)} bytes`)
console.log(`dist/tollgate-admin.js        ${Buffer.byteLength(admin.text)} bytes`)
console.log(`dist/tollgate-cli.mjs         ${commandBytes} bytes`)
console.log(
  `dist/console/                 ${consoleBytes} bytes compressed, of at most ${CONSOLE_BYTES_MAX}`,
)

const problems = [
  ...wall.findIntruders(gate.metafile),
  ...wall.findExcess(gateSize, rows),
  ...wall.findTopExcess(gate.njsText),
]
if (consoleBytes > CONSOLE_BYTES_MAX) {
  problems.push('The console is too large: look for what a dependency brought into it')
}
failOn(problems)
