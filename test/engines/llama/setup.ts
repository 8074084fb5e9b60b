import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { download, unpack } from '../../../src/cli/nginx/apt.ts'
import { findMirror } from '../../../src/cli/nginx/mirror.ts'
import { suiteOf } from '../../../src/cli/nginx/packages.ts'
import { must, provide } from '../cache.ts'
import { makeModel } from './model.ts'

/** llama.cpp comes from the suite of the newest nginx. */
const SUITE = suiteOf('newest')

/** How llama-server is run, with what it needs in its environment, and its model. */
export type Installed = {
  command: string[]
  env: Record<string, string>
  model: string
  version: string
}

/** Unpacks Debian's llama.cpp and makes its model, once. Throws where the packages cannot be had. */
export async function install(tell: (line: string) => void): Promise<Installed> {
  const folder = await provide(`llama-${process.arch}`, async (into) => {
    tell('Downloading llama.cpp from Debian, 60 MB')
    const mirror = await findMirror(SUITE.origin, SUITE.suites[0] ?? '')
    if (mirror === null) throw new Error('apt is not configured for Debian')
    await unpack(
      await download(SUITE, mirror, join(into, 'apt'), ['llama.cpp']),
      join(into, 'root'),
    )
  })
  const modelFolder = await provide('llama-model', (into) => makeModel(join(into, 'tiny.gguf')))
  const found = await findCommand(join(folder, 'root'))
  const said = await must([...found.command, '--version'])
  const version = /version: (.*)/.exec(said)?.[1] ?? (await findVersion(folder))
  return { ...found, model: join(modelFolder, 'tiny.gguf'), version }
}

/** The program by the loader and the libraries that came with it: the system's may be too old. */
async function findCommand(root: string): Promise<Pick<Installed, 'command' | 'env'>> {
  const base = join(root, 'usr', 'lib')
  const triplet = (await readdir(base)).find((name) => name.endsWith('-linux-gnu'))
  if (triplet === undefined) throw new Error(`Cannot find libraries in ${base}`)
  const libraries = join(base, triplet)
  const loader = (await readdir(libraries)).find((file) => /^ld-linux.*\.so\.\d+$/.test(file))
  if (loader === undefined) throw new Error(`Cannot find the loader in ${libraries}`)
  const path = [libraries, join(libraries, 'llama')].join(':')
  const server = join(root, 'usr', 'bin', 'llama-server')
  const command = [join(libraries, loader), '--library-path', path, server]
  return { command, env: { GGML_BACKEND_PATH: await findBackend(libraries) } }
}

/** The code for processors stands where only an installed program would look. */
async function findBackend(libraries: string): Promise<string> {
  const folder = join(libraries, 'ggml', 'backends0')
  const names = await readdir(folder)
  const flags = await readFile('/proc/cpuinfo', 'utf8').catch(() => '')
  const wanted = / avx2 /.test(flags) ? /cpu-haswell\.so$/ : /cpu-x64\.so$/
  const name = names.find((file) => wanted.test(file)) ?? names.find((file) => /cpu/.test(file))
  if (name === undefined) throw new Error(`Cannot find a backend in ${folder}`)
  return join(folder, name)
}

async function findVersion(folder: string): Promise<string> {
  const names = await readdir(join(folder, 'apt', 'archives'))
  const name = names.find((file) => file.startsWith('llama.cpp-tools_')) ?? ''
  return decodeURIComponent(name.split('_')[1] ?? 'unknown')
}
