import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Nginx } from '../nginx/find.ts'
import { type GateSite, hasServerConf } from './gatesite.ts'
import { packageDir } from './layout.ts'

/** Lines to add to a site, and where. */
export type Step = { where: string; lines: string }

/** The lines that a site still lacks, cut out of the example that the tests start. */
export async function listSteps(
  site: GateSite,
  nginx: Nginx,
  isModuleLoaded: boolean,
): Promise<Step[]> {
  const example = await readFile(join(packageDir(), 'nginx', 'sites', 'gate.conf'), 'utf8')
  const isAsked = site.guarded.length + site.recipes.length > 0
  const steps: (Step | null)[] = [
    isModuleLoaded || nginx.loadModule === null
      ? null
      : {
          where: 'at the top of nginx.conf, outside of any block',
          lines: `load_module ${nginx.loadModule};`,
        },
    site.hasHttp
      ? null
      : { where: 'inside http { }, once', lines: cut(example, /^include tollgate\/http.conf;\n/m) },
    isAsked
      ? null
      : {
          where:
            'beside it; an upstream block of vLLM that is there already may stay, with these keepalive lines',
          lines: cut(example, /^upstream [\s\S]*?^}\n/m),
        },
    isAsked || site.hasServer
      ? null
      : {
          where:
            'inside the server { } that faces the callers, the second line only where it has no pages but the gate',
          lines: cut(example, /^ *include tollgate\/server.conf;\n.*malformed.conf;\n/m),
        },
    isAsked
      ? null
      : {
          where: 'in the same server { }, in the place of the location that passes to vLLM now',
          lines: cut(example, /^ {2}location [\s\S]*?^ {2}}\n(?=})/m),
        },
  ]
  return steps.filter((step) => step !== null)
}

/** Logs of the server that do not hold in a guarded location, which has one of its own. */
export function listHidden({ guarded }: GateSite): string[] {
  const servers = new Set(guarded.flatMap(({ around }) => around.slice(0, 1)))
  // In 0.1.0 they did.
  return [...servers].filter(hasServerConf).flatMap(({ block }) =>
    (block ?? [])
      .filter(({ name, args }) => name === 'access_log' && args[1] === 'tollgate')
      // malformed.conf has them at the server's level, for what has no location.
      .filter(({ file }) => !file.endsWith('/logs.conf'))
      .map(
        ({ file, line, args }) =>
          `${file}:${line}: this log does not get the requests of the gate any more: move the line ` +
          `"access_log ${args.join(' ')};" to the end of tollgate/logs.conf`,
      ),
  )
}

function cut(example: string, pattern: RegExp): string {
  const lines = pattern.exec(example)?.[0]
  if (lines === undefined) throw new Error(`The example site has nothing like ${pattern.source}`)
  const indent = /^ */.exec(lines)?.[0] ?? ''
  return lines.replaceAll(new RegExp(`^${indent}`, 'gm'), '').trimEnd()
}
