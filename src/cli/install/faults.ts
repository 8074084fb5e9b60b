import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Directive, findAll } from './directives.ts'
import { type Fault, faultAt, isOurs, isSame, settingLines } from './fault.ts'
import {
  blockOf,
  findGateSite,
  findUpstream,
  type Guarded,
  hasServerConf,
  isOurPass,
  mapsOf,
  type Place,
  valuesOf,
} from './gatesite.ts'
import { listLeftovers } from './leftovers.ts'

/** Directives that may stand several times in a location, so that a site's own are no mistake. */
const MANY = new Set(
  (
    'access_log add_header allow auth_request_set deny error_log error_page if include js_import js_var limit_conn ' +
    'limit_except limit_req location mirror proxy_cookie_domain proxy_cookie_path proxy_hide_header ' +
    'proxy_ignore_headers proxy_pass proxy_pass_header proxy_set_header rewrite return set'
  ).split(' '),
)

/** Lines without which the gate is not one, and the include that has them: somebody may have kept an older one. */
const NEEDED = [
  ['gate.conf', 'if', '$tg_passed'],
  ['gate.conf', 'if', '$tg_admission'],
  ['gate.conf', 'mirror', '/tollgate-read'],
  ['gate.conf', 'client_body_in_file_only', 'off'],
  ['gate.conf', 'client_body_in_single_buffer', 'on'],
  ['gate.conf', 'proxy_pass', '$tg_place'],
  ['upstream.conf', 'js_body_filter', 'tollgate.meter'],
  ['upstream.conf', 'proxy_pass_request_headers', 'off'],
  ['upstream.conf', 'proxy_set_header', 'X-Tollgate-Reason'],
  ['upstream.conf', 'proxy_set_body', '$tg_body'],
  ['upstream.conf', 'proxy_next_upstream', 'off'],
] as const

const PASSES = /^(?:proxy|fastcgi|uwsgi|scgi|grpc|memcached)_pass$/

/**
 * What is wrong with the sites of an nginx.conf. Before this version is laid out nothing is: what stands
 * there is right for the one that is.
 */
export function findFaults(directives: readonly Directive[], nginxDir: string): Fault[] {
  if (!existsSync(join(nginxDir, 'tollgate', 'tollgate-rare.js'))) return []
  return listFaults(directives)
}

/** The same, of directives alone. */
export function listFaults(directives: readonly Directive[]): Fault[] {
  const http = blockOf(directives, 'http')
  const site = findGateSite(directives)
  const { recipes } = site
  // What the content door led to is told by itself.
  const guarded = site.guarded.filter(({ location }) => location.args[0] !== '@tollgate')
  const faults = [
    ...listLeftovers(http),
    ...guarded.flatMap((place) => [
      ...listPassFaults(place, http),
      ...listOpenings(place),
      ...listLedgerFaults(place),
      ...listLacking(place),
      ...listTwice(place),
    ]),
    ...listServersWithout(guarded),
    ...recipes.filter((place) => !hasImport(place, http)).map(tellImport),
  ]
  return faults.filter((one, index) => index === faults.findIndex((other) => isSame(one, other)))
}

/** Where requests go: one proxy_pass, which is ours, and the name of an upstream block. */
function listPassFaults(place: Guarded, http: readonly Directive[]): Fault[] {
  const own = place.block.filter(({ name, args }) => name === 'proxy_pass' && !isOurPass(args[0]))
  if (own.length > 0) return own.map((pass) => tellPass(pass, http))
  const { name, location, settings } = place
  if (settings.length === 0) {
    return [
      faultAt(
        location,
        `${name} does not say where to, so each request gets 500: write before its include: ` +
          `set $tollgate_upstream NAME; with the name of an upstream block (${nameUpstreams(http)})`,
      ),
    ]
  }
  return settings.flatMap((setting) => [
    ...listUnknown(setting, place, http),
    ...listLate(setting, place),
  ])
}

/** `proxy_pass http://vllm;` beside gate.conf, as in 0.1.0. */
function tellPass(pass: Directive, http: readonly Directive[]): Fault {
  const url = pass.args[0] ?? ''
  const lines = settingLines(url, http)
  return faultAt(
    pass,
    `gate.conf holds the proxy_pass now: remove "proxy_pass ${url};", and write before the include: ${lines}`,
  )
}

function listUnknown(setting: Directive, place: Guarded, http: readonly Directive[]): Fault[] {
  const word = setting.args[1] ?? ''
  const values = valuesOf(word, http)
  // Made by something else than a map: nginx knows it when a request comes.
  if (word.startsWith('$') && values.length === 0) return []
  const open = mapsOf(word, http).filter((map) => !hasDefault(map))
  const lacking = open.map((map) =>
    faultAt(map, `${place.name} goes to nothing where this map has no value: give it a default`),
  )
  // A pattern of the map may make a name.
  const unknown = values
    .filter((name) => !name.includes('$'))
    .filter((name) => name === '' || findUpstream(http, name) === null)
    .map((name) =>
      faultAt(
        setting,
        `${place.name} goes to ${name === '' ? 'nothing' : `"${name}"`}, and no upstream block has that name: ` +
          `write the name of yours (${nameUpstreams(http)}). In 0.1.0 any name would do here`,
      ),
    )
  return [...lacking, ...unknown]
}

function hasDefault({ block }: Directive): boolean {
  return (block ?? []).some(({ name }) => name === 'default')
}

/** Limits are taken in the include, by the name that is known there. */
function listLate(setting: Directive, { block, name }: Guarded): Fault[] {
  const gate = block.findIndex((one) => one.args.join(' ').includes('$tg_admission'))
  const at = block.indexOf(setting)
  if (gate < 0 || at < gate) return []
  return [faultAt(setting, `${name} says where to after its include: move this line before it`)]
}

function nameUpstreams(http: readonly Directive[]): string {
  const names = http
    .filter(({ name, args }) => name === 'upstream' && args[0] !== 'tollgate_rare')
    .map(({ args }) => args[0])
  return names.length > 0 ? `here: ${names.join(', ')}` : 'there is none yet'
}

/** Ways to pass requests in which the gate's own lines do not hold */
function listOpenings({ block, name }: Place): Fault[] {
  const inner = block
    .filter((one) => one.name === 'location' && !hasGateInside(one))
    .map((one) =>
      faultAt(
        one,
        `location ${one.args.join(' ')} stands inside of ${name}, where the gate does not hold: move it out, ` +
          'beside it, with an include of its own where it passes to vLLM',
      ),
    )
  const branches = block.filter((one) => one.name === 'if' || one.name === 'limit_except')
  const passing = branches.flatMap((branch) => listPassing(branch.block ?? []))
  return [
    ...inner,
    ...passing.map((pass) =>
      faultAt(
        pass,
        `${name} passes requests in a block of its own, past the gate: remove "${pass.name} ` +
          `${pass.args.join(' ')};", and choose by set $tollgate_upstream NAME; instead`,
      ),
    ),
  ]
}

function hasGateInside({ block }: Directive): boolean {
  return (block ?? []).some(({ name, args }) => name === 'proxy_pass' && isOurPass(args[0]))
}

function listPassing(block: readonly Directive[]): Directive[] {
  return block.flatMap((one) => [
    ...(PASSES.test(one.name) ? [one] : []),
    ...listPassing(one.block ?? []),
  ])
}

/** The ledger is what budgets are sums of. */
function listLedgerFaults({ block, name, location }: Place): Fault[] {
  const logs = block.filter((one) => one.name === 'access_log')
  const off = logs.find(({ args }) => args[0] === 'off')
  if (off) {
    return [faultAt(off, `"access_log off;" switches the ledger of ${name} off: remove it`)]
  }
  if (logs.some(({ args }) => args[1] === 'tollgate_ledger')) return []
  return [
    faultAt(
      location,
      `${name} writes no ledger: take the access_log with tollgate_ledger over into tollgate/gate.conf again`,
    ),
  ]
}

function listLacking({ block, name, location }: Place): Fault[] {
  const isThere = ([, directive, word]: (typeof NEEDED)[number]) =>
    block.some((one) => one.name === directive && one.args.join(' ').includes(word))
  return NEEDED.filter((line) => !isThere(line)).map(([file, directive, word]) =>
    faultAt(
      location,
      `${name} lacks a line of ${file}, "${directive} ... ${word}": if tollgate/${file} was edited, take your changes ` +
        `over into ${file}.new, and move that to ${file}`,
    ),
  )
}

/** What nginx takes once in a block and gate.conf has already; nginx itself would name gate.conf. */
function listTwice({ block }: Place): Fault[] {
  const ours = new Set(block.filter(isOurs).map(({ name }) => name))
  return block
    .filter((one) => !isOurs(one) && ours.has(one.name) && !MANY.has(one.name))
    .map((one) =>
      faultAt(
        one,
        `gate.conf has "${one.name}" already, and nginx takes it once: remove this line`,
      ),
    )
}

function listServersWithout(guarded: readonly Guarded[]): Fault[] {
  const servers = new Set(guarded.flatMap(({ around }) => around.slice(0, 1)))
  return [...servers]
    .filter((server) => !hasServerConf(server) && !isOlder(server))
    .map((server) =>
      faultAt(
        server,
        'this server has a guarded location and lacks the pages that it leads to: write in it: ' +
          'include tollgate/server.conf;',
      ),
    )
}

/** One that was kept is told by itself. */
function isOlder({ block }: Directive): boolean {
  return (block ?? []).some(
    (one) => isOurs(one) && one.name === 'location' && one.args.at(-1) === '/tollgate-error',
  )
}

function hasImport({ block, around }: Place, http: readonly Directive[]): boolean {
  const blocks = [http, ...around.map((one) => one.block ?? []), block]
  return blocks.some((lines) =>
    lines.some(({ name, args }) => name === 'js_import' && args[0] === 'tollgate'),
  )
}

function tellImport({ name, location, block }: Place): Fault {
  const [test] = findAll(block, 'if').filter(({ args }) => args.join(' ').includes('_verdict'))
  const fault = faultAt(
    test ?? location,
    `$tollgate_verdict is empty in ${name}, so that everybody is refused: write before this line: ` +
      'include tollgate/recipe.conf;',
  )
  return { ...fault, isForLater: true }
}
