import { listRoutes, type PathRoute } from '../../src/core/admit/routes.ts'
import { type MapRow, writeInclude, writeMap } from './write.ts'

/**
 * The routes that most requests are for, each with a pattern of its own: the first takes 1,700
 * instructions, and every other 500 more than the one before it. All others share one pattern, which
 * takes 5,000 (counted by callgrind, nginx 1.30).
 */
const USUAL = ['chat', 'messages', 'completions', 'responses', 'embeddings']

/** A path ends where the version or the query begins, or with the line, as in HTTP/0.9. */
const END = '(?![^ ?])'

/** No server has it, and no route: where it is passed on by mistake, the answer is 404. */
const NO_PATH = '/tollgate-no-such-path'

/** routes.conf: what findRoute() of src/core/admit/routes.ts says of a request line, for nginx. */
export function routesConf(routes: readonly PathRoute[] = listRoutes()): string {
  return writeInclude('The routes: http level.', [
    '# What stands before /v1 in the paths of a site. In a location: set $tollgate_prefix /llm/qwen;\n' +
      'js_var $tollgate_prefix;',
    ...writeCuts(),
    ...writeRoutes(routes),
    writeMap(
      'Routes that take no body, see gate.conf.',
      '$tollgate_route',
      'tg_get',
      routes.filter(({ method }) => method === 'GET').map(({ name }) => [name, '1']),
    ),
  ])
}

function writeCuts(): string[] {
  return [
    writeMap(
      'The request line as it was sent, less the prefix. It is empty, and no route is found, where the path does ' +
        'not begin with exactly the prefix: with nothing decoded, no slashes merged, no dots removed.',
      '$tollgate_prefix',
      'tollgate_line',
      [
        ['', '$request'],
        ['default', '$tg_line'],
      ],
    ),
    writeMap('', '$tollgate_prefix|$request', 'tg_line', [
      ['~^([^|]+)\\|([^ ]+ )\\1(/.*)', '$2$3'],
    ]),
    writeMap(
      'Path and query for proxy_pass, as they were sent, less the prefix. Never empty: nginx would take its own ' +
        'path then, which is a decoded one.',
      '$tollgate_prefix',
      'tollgate_path',
      [
        ['', '$request_uri'],
        ['default', '$tg_path'],
      ],
    ),
    writeMap('', '$tollgate_prefix|$request_uri', 'tg_path', [
      ['~^([^|]+)\\|\\1(/.*)', '$2'],
      ['default', NO_PATH],
    ]),
  ]
}

function writeRoutes(routes: readonly PathRoute[]): string[] {
  const usual = USUAL.map((name) => routes.find((route) => route.name === name)).filter(
    (route) => route !== undefined,
  )
  const gets = routes.filter(({ method }) => method === 'GET')
  const byPath = (value: (route: PathRoute) => string): MapRow[] =>
    routes.map((route) => [route.path, value(route)])
  return [
    writeMap(
      'The route: its method and its exact path. Patterns alone, since a map ignores case in plain strings; ' +
        'those of most requests first.',
      '$tollgate_line',
      'tollgate_route',
      [
        ...usual.map(({ method, path, name }): MapRow => [`~^${method} ${path}${END}`, name]),
        ['default', '$tg_seldom'],
      ],
    ),
    writeMap(
      'Method and path of a line that has the path of a route, whatever the method. What comes out of it has the ' +
        'right case, and can be looked up.',
      '$tollgate_line',
      'tg_called',
      [[`~^([^ ]+) (?<tg_at>${groupPaths(routes)})${END}`, '$1 $2']],
    ),
    writeMap('', '$tg_called', 'tg_seldom', [
      ...routes.map(({ method, path, name }): MapRow => [`${method} ${path}`, name]),
    ]),
    writeMap(
      'The route of the path, whatever the method: 405 where $tollgate_route is empty and this is not. Asked for ' +
        'by way of $tg_called, which finds the path.',
      '$tg_called',
      'tg_at_path',
      [
        ['', ''],
        ['default', '$tg_at_route'],
      ],
    ),
    writeMap(
      '',
      '$tg_at',
      'tg_at_route',
      byPath(({ name }) => name),
    ),
    writeMap('The one method that this route takes.', '$tg_at_path', 'tg_at_method', [
      ['', ''],
      ...gets.map(({ name }): MapRow => [name, 'GET']),
      ['default', 'POST'],
    ]),
  ]
}

/** All paths as one pattern, by their first folder: a line that has none of these is soon given up. */
function groupPaths(routes: readonly PathRoute[]): string {
  const folders = new Map<string, string[]>()
  for (const { path } of routes) {
    if (!/^[\w/-]+$/.test(path)) throw new Error(`Cannot write ${path} as a pattern as it is`)
    const folder = path.slice(0, path.indexOf('/', 1) + 1)
    folders.set(folder, [...(folders.get(folder) ?? []), path.slice(folder.length)])
  }
  return [...folders].map(([folder, paths]) => `${folder}(?:${paths.join('|')})`).join('|')
}
