import { basename, dirname } from 'node:path'
import { type Directive, findAll } from './directives.ts'
import { type Fault, faultAt, isOurs, settingLines } from './fault.ts'

/** What the bundles of this version have no more. */
const GONE = /^tollgate\.(?:access|enter|client|key|route|outcome|refusal|refuse)$/

/** Includes of 0.1.0 that are not there any more. */
const GONE_FILES = ['enter.conf', 'body.conf']

/** What 0.1.0 had, and this version does not read any more. */
export function listLeftovers(http: readonly Directive[]): Fault[] {
  const servers = http.filter(({ name }) => name === 'server')
  return [
    ...listOldFiles(http),
    ...listOldLogs(http),
    ...servers.flatMap((server) => [
      ...listEntrances(server, http),
      ...listExits(server),
      ...listOldPages(server),
    ]),
  ]
}

/** An include that was kept because somebody has edited it, and calls what is gone. */
function listOldFiles(http: readonly Directive[]): Fault[] {
  const imports = http.filter(({ name, args }) => name === 'js_import' && args[0] === 'tollgate')
  const calls = ['js_access', 'js_content', 'js_header_filter', 'js_set'].flatMap((name) =>
    findAll(http, name).filter(({ args }) => GONE.test(args.at(-1) ?? '')),
  )
  const old = [...imports, ...calls].filter((one) => !GONE_FILES.includes(basename(one.file)))
  const first = old.filter(
    (one, index) => index === old.findIndex((other) => other.file === one.file),
  )
  return first.map((one) => {
    const text = `${one.name} ${one.args.join(' ')};`
    return faultAt(one, `"${text}" is of 0.1.0, ${fixOf(one.file)}`)
  })
}

function fixOf(file: string): string {
  if (basename(dirname(file)) !== 'tollgate') return 'and not read any more: remove it'
  const name = basename(file)
  return `since this file was edited: take your changes over into ${name}.new, and move that to ${name}`
}

/** A site's own line for the ledger: its variable has another name now, and nginx would not say where it stands. */
function listOldLogs(http: readonly Directive[]): Fault[] {
  const message = 'the gate writes its ledger by itself: remove this line'
  return findAll(http, 'access_log')
    .filter((one) => !isOurs(one) && one.args.some((arg) => /tollgate_ledger$/.test(arg)))
    .map((one) => faultAt(one, message))
}

/** The content door: `include tollgate/enter.conf;`. */
function listEntrances(server: Directive, http: readonly Directive[]): Fault[] {
  const exit = server.block?.find(isExit)
  const url = findAll(exit?.block ?? [], 'proxy_pass')[0]?.args[0]
  const lines = url === undefined ? 'set $tollgate_upstream NAME;' : settingLines(url, http)
  return findAll(server.block ?? [], 'include')
    .filter((one) => !isOurs(one) && isOldInclude(one))
    .map((one) =>
      faultAt(
        one,
        basename(one.args[0] ?? '') === 'enter.conf'
          ? `there is one door now: write in the place of this line: ${lines} include tollgate/gate.conf;`
          : `${one.args[0]} is gone, gate.conf has what it held: remove this line`,
      ),
    )
}

function isOldInclude({ args }: Directive): boolean {
  const path = args[0] ?? ''
  return basename(dirname(path)) === 'tollgate' && GONE_FILES.includes(basename(path))
}

function isExit({ name, args }: Directive): boolean {
  return name === 'location' && args[0] === '@tollgate'
}

/** Where the content door led to. */
function listExits(server: Directive): Fault[] {
  const message =
    'nothing leads to location @tollgate any more, gate.conf passes requests itself: remove it'
  return (server.block ?? []).filter(isExit).map((one) => faultAt(one, message))
}

/** A site's own error pages that led to the gate's. */
function listOldPages(server: Directive): Fault[] {
  const message = '/tollgate-error is called /tollgate-failed now: change the name in this line'
  return findAll(server.block ?? [], 'error_page')
    .filter((one) => !isOurs(one) && one.args.some((arg) => arg.startsWith('/tollgate-error')))
    .map((one) => faultAt(one, message))
}
