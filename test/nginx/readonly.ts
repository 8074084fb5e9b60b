import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { edit } from './edit.ts'

const isRoot = process.getuid?.() === 0

/**
 * For `prepare` of startGate(): the workers are somebody who may write where they have to, and nowhere
 * else, as on a gate that was installed. Whoever runs the tests without root is the workers' user.
 */
export async function dropRights(root: string): Promise<void> {
  if (!isRoot) return
  await edit(join(root, 'nginx.conf'), 'user root;', 'user nobody nogroup;')
  await chmod(root, 0o755)
  for (const path of [join(root, 'state', 'state'), join(root, 'run')]) await chmod(path, 0o777)
}

/** Takes from the workers the right to write into a folder, or gives it to them. */
export async function setWritable(dir: string, isWritable: boolean): Promise<void> {
  if (isRoot) await chmod(dir, isWritable ? 0o777 : 0o755)
  else await chmod(dir, isWritable ? 0o755 : 0o555)
}
