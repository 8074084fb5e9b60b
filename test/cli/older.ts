import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { adapt, hash, LAYOUT_DEFAULTS } from '../../src/cli/install/layout.ts'
import type { Engine } from '../../src/cli/nginx/find.ts'
import { freePort } from '../waiting.ts'

/** The includes as version 0.1.0 has installed them. */
const INCLUDES = join(import.meta.dirname, 'fixtures', '0.1.0')

/** For `nginx -t`, which looks no further than whether a bundle can be read. */
const BUNDLE = 'export default {}\n'

/** Puts the gate of 0.1.0 beside an nginx.conf, as its own `tollgate install` did. */
export async function layOutOlder(
  nginxDir: string,
  stateDir: string,
  engine: Engine,
): Promise<void> {
  const target = join(nginxDir, 'tollgate')
  await mkdir(target)
  await mkdir(stateDir)
  // Whatever the umask is: the workers pass through it.
  await chmod(stateDir, 0o755)
  const layout = {
    nginxDir,
    stateDir,
    configDir: target,
    adminListen: `127.0.0.1:${await freePort()}`,
    rareListen: LAYOUT_DEFAULTS.rareListen,
  }
  const files = await gatherOlder(layout, engine)
  files.push(['tollgate.js', BUNDLE], ['tollgate-admin.js', BUNDLE])
  for (const [name, text] of files) await writeFile(join(target, name), text)
  const manifest = Object.fromEntries(files.map(([name, text]) => [name, hash(text)]))
  await writeFile(join(target, '.installed.json'), JSON.stringify(manifest))
  await writeFile(join(target, 'policy.json'), '{"version":1}')
  await writeFile(join(target, 'clients.json'), '{"version":1,"clients":{}}')
}

/** Names and texts of its includes, as they were installed. */
export async function gatherOlder(
  layout: Parameters<typeof adapt>[1],
  engine: Engine,
): Promise<[string, string][]> {
  return Promise.all(
    (await readdir(INCLUDES)).map(async (name): Promise<[string, string]> => {
      const text = adapt(await readFile(join(INCLUDES, name), 'utf8'), layout)
      const isQuick = name === 'engine.conf' && engine === 'qjs'
      return [name, isQuick ? `${text}js_engine qjs;\njs_context_reuse 512;\n` : text]
    }),
  )
}

/** Every file below a folder with its mode and its text, to see that nothing has changed. */
export async function readTree(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((e) => join(e.parentPath, e.name))
  const texts = paths.sort().map(async (path) => {
    const mode = (await stat(path)).mode.toString(8)
    return [path, `${mode} ${await readFile(path, 'utf8')}`] as const
  })
  return Object.fromEntries(await Promise.all(texts))
}
