import { type Directive, findAll } from './directives.ts'

/** What a configuration of nginx has of the gate. */
export type GateSite = {
  /** http.conf: the bundle, the variables, the zones, the housekeeping. */
  hasHttp: boolean
  /** server.conf: error pages and the ledger. */
  hasServer: boolean
  /** How requests are admitted: null when nothing asks the gate at all. */
  admission: 'access' | 'content' | 'recipe' | null
  /** upstream.conf: the meter and the settings of the proxy. */
  hasUpstream: boolean
  /** Where admitted requests go. */
  passes: Pass[]
  /** Locations that pass requests to the same place without asking the gate. */
  bypasses: string[]
}

/** A proxy_pass: `http://vllm`, and the servers behind that name as they are written. */
export type Pass = {
  url: string
  scheme: 'http' | 'https'
  servers: string[]
  /** The block named in the URL; null when it names a host itself. */
  upstream: Directive | null
}

type Place = { name: string; url: string; isGuarded: boolean; isInternal: boolean }

/** Finds the gate in the directives of nginx.conf. */
export function findGateSite(directives: readonly Directive[]): GateSite {
  const http = directives.filter(({ name }) => name === 'http').flatMap(({ block }) => block ?? [])
  const servers = http.filter(({ name }) => name === 'server')
  const places = servers.flatMap(listPlaces)
  const guarded = places.filter(({ isGuarded, name }) => isGuarded || name.endsWith(' @tollgate'))
  const urls = [...new Set(guarded.map(({ url }) => url))]
  const calls = (name: string, handler: string) => hasDirective(servers, name, handler)
  return {
    hasHttp: http.some(({ name, args }) => name === 'js_import' && args[0] === 'tollgate'),
    hasServer:
      findAll(servers, 'location').some(({ args }) => args.at(-1) === '/tollgate-error') &&
      findAll(servers, 'access_log').some(({ args }) => args[1] === 'tollgate_ledger'),
    admission: calls('js_access', 'tollgate.access')
      ? 'access'
      : calls('js_content', 'tollgate.enter')
        ? 'content'
        : findAll(servers, 'if').some(isVerdictTest)
          ? 'recipe'
          : null,
    hasUpstream: calls('js_body_filter', 'tollgate.meter'),
    passes: urls.map((url) => describePass(url, http)),
    bypasses: places
      .filter(({ isGuarded, isInternal, url }) => !isGuarded && !isInternal && urls.includes(url))
      .map(({ name }) => name),
  }
}

/** Every location with a proxy_pass, and whether the gate is asked before it. */
function listPlaces(server: Directive): Place[] {
  const block = server.block ?? []
  const name = block.find((directive) => directive.name === 'server_name')?.args[0]
  const listen = block.find((directive) => directive.name === 'listen')?.args[0]
  const label = `server ${name ?? listen ?? ''}`.trim()
  return listIn(block, label, block.some(isVerdictTest))
}

function listIn(block: readonly Directive[], label: string, isGuarded: boolean): Place[] {
  return block.flatMap((directive) => {
    if (directive.name !== 'location') return []
    const inner = directive.block ?? []
    const name = `${label}, location ${directive.args.join(' ')}`
    const isAsked = isGuarded || isGate(inner)
    const url = inner.find(({ name }) => name === 'proxy_pass')?.args[0]
    const isInternal =
      directive.args[0]?.startsWith('@') || inner.some(({ name }) => name === 'internal')
    const own = url ? [{ name, url, isGuarded: isAsked, isInternal: Boolean(isInternal) }] : []
    return [...own, ...listIn(inner, label, isAsked)]
  })
}

function isGate(block: readonly Directive[]): boolean {
  const isHandler = ({ name, args }: Directive) =>
    (name === 'js_access' && args[0] === 'tollgate.access') ||
    (name === 'js_content' && args[0] === 'tollgate.enter')
  return block.some((directive) => isHandler(directive) || isVerdictTest(directive))
}

function isVerdictTest({ name, args }: Directive): boolean {
  return name === 'if' && args.join(' ').includes('$tollgate_verdict')
}

function hasDirective(servers: readonly Directive[], name: string, handler: string): boolean {
  return findAll(servers, name).some(({ args }) => args[0] === handler)
}

function describePass(url: string, http: readonly Directive[]): Pass {
  const [, scheme = 'http', host = ''] = /^(https?):\/\/([^/]*)/.exec(url) ?? []
  const upstream = http.find(({ name, args }) => name === 'upstream' && args[0] === host) ?? null
  const servers = (upstream?.block ?? []).filter(({ name }) => name === 'server')
  return {
    url,
    scheme: scheme === 'https' ? 'https' : 'http',
    servers: upstream ? servers.map(({ args }) => args[0] ?? '') : [readHost(url, host)],
    upstream,
  }
}

// proxy_pass http://unix:/path/of/the.sock:/ names a socket by itself.
function readHost(url: string, host: string): string {
  return /^https?:\/\/(unix:[^:]+)/.exec(url)?.[1] ?? host
}
