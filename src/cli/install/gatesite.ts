import { type Directive, findAll } from './directives.ts'

/** What a configuration of nginx has of the gate. */
export type GateSite = {
  /** http.conf: the variables, the zones, the housekeeping. */
  hasHttp: boolean
  /** server.conf, in some server: the gate's own pages. */
  hasServer: boolean
  /** Locations with gate.conf. */
  guarded: Guarded[]
  /** Locations whose own `if` tests $tollgate_verdict. */
  recipes: Place[]
  /** Where admitted requests go. */
  passes: Pass[]
  /** Locations that pass requests to the same place without asking the gate. */
  bypasses: string[]
}

/** A location: how people name it, its lines, and the blocks around it, the server first. */
export type Place = { name: string; location: Directive; block: Directive[]; around: Directive[] }

/** The names that `set $tollgate_upstream` gives, maps looked into; what it was set to, as it is written. */
export type Guarded = Place & { settings: Directive[]; upstreams: string[] }

/** A server behind: `http://vllm`, and the servers of that name as they are written. */
export type Pass = {
  url: string
  scheme: 'http' | 'https'
  servers: string[]
  /** The block named in the URL; null when it names a host itself. */
  upstream: Directive | null
}

/** Finds the gate in the directives of nginx.conf. */
export function findGateSite(directives: readonly Directive[]): GateSite {
  const http = blockOf(directives, 'http')
  const servers = http.filter(({ name }) => name === 'server')
  const places = servers.flatMap((server) => listPlaces(server, [server], labelOf(server)))
  const guarded = places.filter(({ block }) => isGate(block)).map((one) => withUpstream(one, http))
  const recipes = places.filter((place) => !isGate(place.block) && isRecipe(place))
  const urls = [
    ...guarded.flatMap((place) => place.upstreams.map((name) => `${schemeOf(place)}://${name}`)),
    ...recipes.flatMap(({ block }) => listUrls(block)),
  ]
  const passes = [...new Set(urls)].map((url) => describePass(url, http))
  const hosts = new Set(passes.flatMap(({ url, servers }) => [hostOf(url), ...servers]))
  return {
    hasHttp: http.some(({ name, args }) => name === 'js_set' && args[0] === '$tollgate_verdict'),
    hasServer: servers.some(hasServerConf),
    guarded,
    recipes,
    passes,
    bypasses: places
      .filter((place) => isOpen(place) && goesTo(place, hosts, http))
      .map(({ name }) => name),
  }
}

/** All blocks of a name, as one. */
export function blockOf(directives: readonly Directive[], name: string): Directive[] {
  return directives.filter((one) => one.name === name).flatMap(({ block }) => block ?? [])
}

/** Whether a location has gate.conf, by what stands in it. */
export function isGate(block: readonly Directive[]): boolean {
  return block.some(
    ({ name, args }) =>
      (name === 'js_body_filter' && args[0] === 'tollgate.meter') ||
      (name === 'proxy_pass' && isOurPass(args[0])),
  )
}

export function isOurPass(url: string | undefined): boolean {
  return /^\$\{?tg_place\b/.test(url ?? '')
}

/** Whether a server has the pages of server.conf. */
export function hasServerConf({ block }: Directive): boolean {
  const names = ['@tollgate_refused', '/tollgate-failed', '/tollgate-read']
  const there = (block ?? []).filter(({ name }) => name === 'location')
  return names.every((name) => there.some(({ args }) => args.at(-1) === name))
}

/** The upstream block of a name; null where there is none. */
export function findUpstream(http: readonly Directive[], host: string): Directive | null {
  return http.find(({ name, args }) => name === 'upstream' && args[0] === host) ?? null
}

/** The map that makes a variable. */
export function mapsOf(word: string, http: readonly Directive[]): Directive[] {
  const variable = /^\$\{?(\w+)\}?$/.exec(word)?.[1]
  return http.filter(({ name, args }) => name === 'map' && args[1] === `$${variable}`)
}

/** What a word means: itself, or all values of the map that makes it. */
export function valuesOf(word: string, http: readonly Directive[]): string[] {
  if (!word.startsWith('$')) return [word]
  return mapsOf(word, http)
    .flatMap(({ block }) => block ?? [])
    .filter(({ name }) => !['include', 'volatile', 'hostnames'].includes(name))
    .map(({ args }) => args[0] ?? '')
}

/** Every location of a block, those inside of others too. */
function listPlaces(block: Directive, around: Directive[], label: string): Place[] {
  return (block.block ?? []).flatMap((location) => {
    if (location.name !== 'location') return []
    const name = `${label}, location ${location.args.join(' ')}`
    const place = { name, location, block: location.block ?? [], around }
    return [place, ...listPlaces(location, [...around, location], label)]
  })
}

function labelOf({ block }: Directive): string {
  const wordOf = (name: string) => block?.find((directive) => directive.name === name)?.args[0]
  return `server ${wordOf('server_name') ?? wordOf('listen') ?? ''}`.trim()
}

function withUpstream(place: Place, http: readonly Directive[]): Guarded {
  const settings = listSettings(place, '$tollgate_upstream')
  const upstreams = settings.flatMap(({ args }) => valuesOf(args[1] ?? '', http))
  return { ...place, settings, upstreams: [...new Set(upstreams)] }
}

/** The `set` lines of a variable: those of the location, its `if` blocks too, else those of the server. */
function listSettings({ block, around }: Place, variable: string): Directive[] {
  const isSetting = ({ name, args }: Directive) => name === 'set' && args[0] === variable
  const listIn = (lines: readonly Directive[]): Directive[] =>
    lines.flatMap((one) =>
      one.name === 'if' ? listIn(one.block ?? []) : isSetting(one) ? [one] : [],
    )
  const own = listIn(block)
  return own.length > 0 ? own : listIn(around[0]?.block ?? [])
}

function schemeOf(place: Place): string {
  return listSettings(place, '$tollgate_scheme').at(-1)?.args[1] || 'http'
}

/** `if` of a location does not hold in one inside of it, that of a server holds in all. */
function isRecipe({ block, around }: Place): boolean {
  return block.some(isVerdictTest) || (around[0]?.block ?? []).some(isVerdictTest)
}

export function isVerdictTest({ name, args }: Directive): boolean {
  return name === 'if' && args.join(' ').includes('$tollgate_verdict')
}

/** Neither asked, nor inside of a guarded location, which is told by itself, nor closed to callers. */
function isOpen(place: Place): boolean {
  const { block, around, location } = place
  if (isGate(block) || isRecipe(place)) return false
  if (around.some((outer) => isGate(outer.block ?? []))) return false
  return !location.args[0]?.startsWith('@') && !block.some(({ name }) => name === 'internal')
}

function goesTo(place: Place, hosts: ReadonlySet<string>, http: readonly Directive[]): boolean {
  return listUrls(place.block)
    .flatMap((url) => valuesOf(hostOf(url), http))
    .some((host) => hosts.has(host))
}

function listUrls(block: readonly Directive[]): string[] {
  const isOwn = ({ name }: Directive) => name !== 'location'
  return findAll(block.filter(isOwn), 'proxy_pass').map(({ args }) => args[0] ?? '')
}

/** The host in a URL of proxy_pass, with its port; a socket by its path. */
export function hostOf(url: string): string {
  return (
    /^https?:\/\/(unix:[^:]+)/.exec(url)?.[1] ?? /^(?:https?:\/\/)?([^/]*)/.exec(url)?.[1] ?? ''
  )
}

function describePass(url: string, http: readonly Directive[]): Pass {
  const host = hostOf(url)
  const upstream = findUpstream(http, host)
  const servers = (upstream?.block ?? []).filter(({ name }) => name === 'server')
  return {
    url,
    scheme: url.startsWith('https:') ? 'https' : 'http',
    servers: upstream ? servers.map(({ args }) => args[0] ?? '') : [host],
    upstream,
  }
}
