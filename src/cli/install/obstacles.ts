import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Account, findObstacle, type Need } from './accounts.ts'
import { WORKERS_DIR } from './layout.ts'

/** What the workers could not read or write, with the fix. */
export async function listObstacles(
  { configDir, stateDir }: { configDir: string; stateDir: string },
  workers: Account | null,
): Promise<string[]> {
  if (workers === null)
    return ['The system does not know the user of nginx.conf: make it, or fix it']
  const wanted: [string, Need[]][] = [
    [join(configDir, 'policy.json'), ['read']],
    [join(configDir, 'clients.json'), ['read']],
    [stateDir, ['enter']],
    [join(stateDir, WORKERS_DIR), ['write', 'enter']],
  ]
  const found: string[] = []
  for (const [path, needs] of wanted) {
    // What is not there is told elsewhere.
    if (!existsSync(path)) continue
    const obstacle = await findObstacle(workers, path, needs)
    if (obstacle !== null) found.push(describeObstacle(workers, path, needs, obstacle))
  }
  return found
}

function describeObstacle(
  { user, group }: Account,
  path: string,
  needs: Need[],
  obstacle: string,
): string {
  const act = needs.includes('read') ? 'read' : needs.includes('write') ? 'write into' : 'enter'
  const cannot = `nginx's workers (user ${user}) cannot ${act} ${path}`
  if (obstacle !== path) return `${cannot}, because of ${obstacle}: chmod o+x ${obstacle}`
  const mode = act === 'read' ? 'g+r' : act === 'enter' ? 'g+x' : 'g+rwx'
  return `${cannot}: chgrp ${group} ${path} && chmod ${mode} ${path}`
}
