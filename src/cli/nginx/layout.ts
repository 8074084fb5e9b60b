import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The parts of an unpacked nginx, as absolute paths. */
export type Unpacked = { command: string[]; module: string }

// Where Debian's and Ubuntu's libraries lie, per Node's name of the processor.
const TRIPLETS: Record<string, string> = {
  x64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
}

/**
 * Finds nginx and its njs module in a folder that packages were unpacked into, and how to run it:
 * through the unpacked dynamic loader, with the unpacked libraries, since both are usually newer
 * than this machine's. Throws an error that names what is missing.
 */
export async function readLayout(root: string): Promise<Unpacked> {
  const command = await readProgram(root, 'nginx')
  const module = await findFile([join(root, 'usr/lib/nginx/modules')], /^ngx_http_js_module\.so$/)
  return { command, module }
}

/** How a program of these packages is run, by its name. */
export async function readProgram(root: string, name: string): Promise<string[]> {
  const triplet = TRIPLETS[process.arch]
  if (triplet === undefined) {
    throw new Error(`Cannot unpack packages for processor ${process.arch}: only x64 and arm64`)
  }
  // Releases before the merge of /lib and /usr/lib have libraries in both.
  const libraries = [join(root, 'usr/lib', triplet), join(root, 'lib', triplet)]
  const loader = await findFile(libraries, /^ld-linux.*\.so\.\d+$/)
  const folders = [join(root, 'usr/sbin'), join(root, 'usr/bin')]
  const binary = await findFile(folders, new RegExp(`^${name}$`))
  return [loader, '--library-path', libraries.join(':'), binary]
}

async function findFile(folders: string[], name: RegExp): Promise<string> {
  for (const folder of folders) {
    const names = await readdir(folder).catch(() => [])
    const found = names.find((candidate) => name.test(candidate))
    if (found !== undefined) return join(folder, found)
  }
  throw new Error(`Cannot find ${name.source} in ${folders.join(' or ')}`)
}

/** Reads what the first start of an unpacked nginx found out; null when there is no such file. */
export async function readStamp(file: string): Promise<Record<string, unknown> | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
  } catch {
    return null
  }
}
