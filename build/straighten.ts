import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { getNativeImagePath } from 'google-closure-compiler/lib/utils.js'
import { merge } from './merge.ts'

/** What the engine gives, and no bundle may rename. */
const GLOBALS = ['ngx', 'njs', 'process', 'Buffer']

/**
 * Puts functions where they are called, with Closure Compiler in its simple mode, which leaves the names of
 * properties alone. The sources have many small functions because people read them; njs's own engine makes
 * each of them anew for every request (0.4k instructions), a call takes 0.3k to 0.5k on both engines, and on
 * QuickJS every function is half a KB of each open stream. Takes and gives an ES module with a default export;
 * what comes out is ES5, but for the imports and the export. With `often`, the names of functions that requests call often, the
 * others are put together, see merge().
 */
export async function straighten(
  module: string,
  often?: ReadonlySet<string> | null,
): Promise<string> {
  const imports = [...module.matchAll(/^import (\w+) from "\w+";\n/gm)]
  const names = [...GLOBALS, ...new Set(imports.map(([, name]) => name))]
  const body = module
    .replace(/^import \w+ from "\w+";\n/gm, '')
    .replace(/^export \{\s*(\w+) as default\s*\};\s*$/m, 'tollgateExport($1);')
  if (/^(?:import|export)\b/m.test(body))
    throw new Error('The bundle has an import of another form')
  const externs = `/** @externs */ ${names.map((name) => `var ${name};`).join('')} function tollgateExport(x) {}`
  const { text, renamed } = await compile(body, externs)
  const found = /^([\s\S]*?)tollgateExport\(([\s\S]*)\);\s*$/.exec(text)
  if (!found) throw new Error('Closure Compiler has not left the export at the end')
  const [, code, exported] = found
  const flat = `${imports.map(([line]) => line.trimEnd()).join('')}${code}export default ${exported};\n`
  return often ? merge(flat, new Set([...often].map((name) => renamed.get(name) ?? name))) : flat
}

/** `renamed`: the new names of functions and variables at the top. */
type Compiled = { text: string; renamed: Map<string, string> }

async function compile(text: string, externs: string): Promise<Compiled> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-build-'))
  try {
    const [input, output] = [join(folder, 'in.js'), join(folder, 'out.js')]
    const report = join(folder, 'names')
    await writeFile(input, text)
    await writeFile(join(folder, 'externs.js'), externs)
    const options = {
      js: input,
      externs: join(folder, 'externs.js'),
      js_output_file: output,
      compilation_level: 'SIMPLE',
      // What is at the top is the module's own, and may go.
      assume_function_wrapper: 'true',
      env: 'CUSTOM',
      language_in: 'ECMASCRIPT_2017',
      // The njs engine keeps 16 bytes at each turn for a let in a loop.
      language_out: 'ECMASCRIPT5_STRICT',
      rewrite_polyfills: 'false',
      variable_renaming_report: report,
      warning_level: 'QUIET',
    }
    const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`)
    await promisify(execFile)(findCompiler(), args)
    const names = (await readFile(report, 'utf8')).matchAll(/^([\w$]+):([\w$]+)$/gm)
    return {
      text: await readFile(output, 'utf8'),
      renamed: new Map([...names].map(([, from = '', to = '']) => [from, to])),
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function findCompiler(): string {
  const path = getNativeImagePath()
  if (path !== undefined) return path
  throw new Error(
    `Closure Compiler has no program for ${process.platform} on ${process.arch}: build on Linux, macOS or ` +
      'Windows, with `npm ci` and its optional packages',
  )
}
