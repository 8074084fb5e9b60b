import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseDirectives, readDirectives } from '../../src/cli/install/directives.ts'
import { listFaults } from '../../src/cli/install/faults.ts'
import { findGateSite } from '../../src/cli/install/gatesite.ts'
import { packageDir } from '../../src/cli/install/layout.ts'

const HEAD = 'include tollgate/http.conf; upstream vllm { server 127.0.0.1:1; }'
const GATE = 'set $tollgate_upstream vllm; include tollgate/gate.conf;'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-sites-'))
  await cp(join(packageDir(), 'nginx', 'tollgate'), join(folder, 'tollgate'), { recursive: true })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** The directives of an http block: HEAD is its first line, the site begins in the second. */
async function read(site: string, head = HEAD) {
  const path = join(folder, 'nginx.conf')
  await writeFile(path, `http { ${head}\n${site}\n}\n`)
  return readDirectives(path)
}

/** A server with the lines, which begin in its second one. */
const server = (lines: string) => `server { listen 80; include tollgate/server.conf;\n${lines}\n}`

/** Faults as `LINE: message`, of nginx.conf. */
async function faultsOf(site: string, head = HEAD): Promise<string[]> {
  const faults = listFaults(await read(site, head))
  return faults.map(({ file, line, message }) => {
    return `${file.replace(join(folder, 'nginx.conf'), '')}${line}: ${message}`
  })
}

describe('parseDirectives', () => {
  test('keeps words in quotes whole, skips comments, and nests blocks', () => {
    const variable = '$' + '{e}f'
    const text = `a "b; c" 'd}' ${variable}; # g;\nh { i j; k { } }\n`
    expect(parseDirectives(text, 'f')).toEqual([
      { name: 'a', args: ['b; c', 'd}', variable], block: null, file: 'f', line: 1 },
      {
        name: 'h',
        args: [],
        block: [
          { name: 'i', args: ['j'], block: null, file: 'f', line: 2 },
          { name: 'k', args: [], block: [], file: 'f', line: 2 },
        ],
        file: 'f',
        line: 2,
      },
    ])
  })

  test.each(['', '}', '{', 'a', '"', 'a { b', '}}}; c d'])('never throws on %j', (text) => {
    expect(Array.isArray(parseDirectives(text, 'f'))).toBe(true)
  })
})

describe('findGateSite', () => {
  const recipe = 'if ($tollgate_verdict != "ok") { return 401; } proxy_pass http://vllm;'

  test.each([
    ['a guarded location', `location / { ${GATE} }`, []],
    [
      'one beside it without the gate',
      `location / { ${GATE} } location /x { proxy_pass http://vllm; }`,
      ['server 80, location /x'],
    ],
    [
      'the same server by its address',
      `location / { ${GATE} } location /x { proxy_pass http://127.0.0.1:1/y; }`,
      ['server 80, location /x'],
    ],
    [
      'the same server by a map',
      `location / { ${GATE} } location /x { proxy_pass http://$by_map; }`,
      ['server 80, location /x'],
    ],
    [
      'the same server in an if',
      `location / { ${GATE} } location /x { if ($y) { proxy_pass http://vllm; } }`,
      ['server 80, location /x'],
    ],
    [
      'one that callers do not reach',
      `location / { ${GATE} } location /x { internal; proxy_pass http://vllm; }`,
      [],
    ],
    [
      'another place is not vLLM',
      `location / { ${GATE} } location /x { proxy_pass http://w; }`,
      [],
    ],
    ['the recipe tests the verdict', `location / { ${recipe} }`, []],
    [
      'a location inside of the recipe is asked by nobody',
      `location / { ${recipe} location /x { proxy_pass http://vllm; } }`,
      ['server 80, location /x'],
    ],
    [
      'a test of the server holds in all its locations',
      `if ($tollgate_verdict != "ok") { return 401; } location / { proxy_pass http://vllm; }`,
      [],
    ],
  ])('finds ways around the gate: %s', async (_, locations, bypasses) => {
    const head = `${HEAD} map $uri $by_map { default vllm; }`
    const found = findGateSite(await read(server(locations), head))
    expect(found.bypasses).toEqual(bypasses)
    expect(found.passes).toMatchObject([{ url: 'http://vllm', servers: ['127.0.0.1:1'] }])
  })

  test.each([
    ['a name', 'set $tollgate_upstream vllm;', ['http://vllm']],
    ['TLS', 'set $tollgate_upstream vllm; set $tollgate_scheme https;', ['https://vllm']],
    ['a map', 'set $tollgate_upstream $by_map;', ['http://embed', 'http://vllm']],
    [
      'an if',
      'set $tollgate_upstream vllm; if ($y) { set $tollgate_upstream embed; }',
      ['http://vllm', 'http://embed'],
    ],
  ])('knows where requests go by %s', async (_, lines, urls) => {
    const head = `${HEAD} upstream embed { server 127.0.0.1:2; } map $uri $by_map { default embed; /x vllm; }`
    const site = server(`location / { ${lines} include tollgate/gate.conf; }`)
    expect(findGateSite(await read(site, head)).passes.map(({ url }) => url)).toEqual(urls)
    expect(await faultsOf(site, head)).toEqual([])
  })
})

describe('listFaults', () => {
  test.each([
    ['a guarded location', `location / { ${GATE} }`],
    [
      'a server that says where to',
      `set $tollgate_upstream vllm; location / { include tollgate/gate.conf; }`,
    ],
    ['headers of its own', `location / { ${GATE} proxy_set_header X-A b; add_header C d; }`],
    ['a second guarded location', `location /a/ { ${GATE} } location /b/ { ${GATE} }`],
    [
      'other pages beside it',
      `location / { ${GATE} } location /grafana/ { proxy_pass http://g; access_log off; }`,
    ],
    [
      'the recipe',
      'location / { include tollgate/recipe.conf; if ($tollgate_verdict != ok) { return 401; } proxy_pass http://vllm; }',
    ],
  ])('has nothing to say of %s', async (_, lines) => {
    expect(await faultsOf(server(lines))).toEqual([])
  })

  test.each([
    [
      'no upstream',
      'location / { include tollgate/gate.conf; }',
      /^3: server 80, location \/ does not say where to, .*set \$tollgate_upstream NAME; .*here: vllm/,
    ],
    [
      'an upstream that is not there',
      'location / { set $tollgate_upstream chat; include tollgate/gate.conf; }',
      /^3: server 80, location \/ goes to "chat", and no upstream block has that name: .*here: vllm\)/,
    ],
    [
      'a map with a name that is not there',
      'location / { set $tollgate_upstream $by_map; include tollgate/gate.conf; }',
      /^3: .*goes to "embed", and no upstream/,
    ],
    [
      'a map without a default',
      'location / { set $tollgate_upstream $by_half; include tollgate/gate.conf; }',
      /^1: server 80, location \/ goes to nothing where this map has no value: give it a default$/,
    ],
    [
      'where to, said too late',
      'location / { include tollgate/gate.conf;\nset $tollgate_upstream vllm; }',
      /^4: .*after its include: move this line before it/,
    ],
    [
      'a proxy_pass of its own',
      'location / { include tollgate/gate.conf;\nproxy_pass http://vllm; }',
      /^4: gate.conf holds the proxy_pass now: remove "proxy_pass http:\/\/vllm;", and write before the include: set \$tollgate_upstream vllm;$/,
    ],
    [
      'a proxy_pass of its own, by a map',
      'location / { include tollgate/gate.conf;\nproxy_pass http://$by_map; }',
      /^4: .*write before the include: set \$tollgate_upstream \$by_map;$/,
    ],
    [
      'a proxy_pass of its own, with TLS, to an address',
      'location / { include tollgate/gate.conf;\nproxy_pass https://10.0.0.1:8000; }',
      /^4: .*set \$tollgate_upstream vllm; set \$tollgate_scheme https; and inside http { }: upstream vllm { server 10.0.0.1:8000; /,
    ],
    [
      'a location inside of the guarded one',
      `location / { ${GATE}\nlocation /x { proxy_pass http://vllm; } }`,
      /^4: location \/x stands inside of server 80, location \/, where the gate does not hold: move it out/,
    ],
    [
      'an if that passes by itself',
      `location / { ${GATE}\nif ($arg_x) { proxy_pass http://vllm; } }`,
      /^4: .*past the gate: remove "proxy_pass http:\/\/vllm;"/,
    ],
    [
      'a limit_except that passes by itself',
      `location / { ${GATE}\nlimit_except GET { proxy_pass http://vllm; } }`,
      /^4: .*past the gate/,
    ],
    [
      'a ledger that is off',
      `location / { ${GATE}\naccess_log off; }`,
      /^4: "access_log off;" switches the ledger of server 80, location \/ off: remove it/,
    ],
    [
      'what gate.conf has too',
      `location / { ${GATE}\nproxy_cache off; client_max_body_size 64m; }`,
      /^4: gate.conf has "proxy_cache" already/,
      /^4: gate.conf has "client_max_body_size" already/,
    ],
    [
      'the recipe without its include',
      'location / {\nif ($tollgate_verdict != ok) { return 401; } proxy_pass http://vllm; }',
      /^4: \$tollgate_verdict is empty in server 80, location \/, so that everybody is refused: .*include tollgate\/recipe.conf;/,
    ],
    [
      'the content door',
      'location / { include tollgate/enter.conf; }\nlocation @tollgate { include tollgate/upstream.conf; proxy_pass http://vllm; }',
      /^3: there is one door now: write in the place of this line: set \$tollgate_upstream vllm; include tollgate\/gate.conf;$/,
      /^4: nothing leads to location @tollgate any more, .*remove it/,
    ],
    [
      'a ledger of the site',
      `location / { ${GATE} }\naccess_log /var/l.jsonl tollgate_ledger if=$tollgate_ledger;`,
      /^4: the gate writes its ledger by itself: remove this line$/,
    ],
    [
      'error pages of 0.1.0',
      `location / { ${GATE} } location /x {\nerror_page 403 = /tollgate-error?403; }`,
      /^4: \/tollgate-error is called \/tollgate-failed now/,
    ],
  ])('tells %s', async (_, lines, ...patterns) => {
    const head = `${HEAD} map $uri $by_map { default vllm; /e embed; } map $uri $by_half { /e vllm; }`
    const faults = await faultsOf(server(lines), head)
    expect(faults).toEqual(patterns.map((pattern) => expect.stringMatching(pattern)))
  })

  test('tells a server that lacks server.conf', async () => {
    const faults = await faultsOf(`server { listen 80; location / { ${GATE} } }`)
    expect(faults).toEqual([expect.stringMatching(/^2: .*include tollgate\/server.conf;/)])
  })

  test('tells an import at http level, of the site and of an include that somebody has kept', async () => {
    const own = `js_import tollgate from tollgate/tollgate.js; ${HEAD}`
    expect(await faultsOf(server(`location / { ${GATE} }`), own)).toEqual([
      expect.stringMatching(/^1: "js_import .*" is of 0.1.0, and not read any more: remove it$/),
    ])
    const path = join(folder, 'tollgate', 'http.conf')
    await writeFile(path, 'js_set $tollgate_client tollgate.client;\n')
    const kept = await faultsOf(server(`location / { ${GATE} }`))
    expect(kept).toEqual([
      expect.stringMatching(/http.conf1: .*since this file was edited: .* into http.conf.new/),
    ])
    await cp(join(packageDir(), 'nginx', 'tollgate', 'http.conf'), path)
  })

  test.each([
    [
      'server.conf',
      [/server.conf48: "js_header_filter tollgate.refuse;" .*into server.conf.new, and move that/],
    ],
    [
      'upstream.conf',
      [
        /^3: .* lacks a line of upstream.conf, "proxy_set_header ... X-Tollgate-Reason": .*upstream.conf.new/,
        /^3: .* lacks a line of upstream.conf, "proxy_set_body ... \$tg_body": .*upstream.conf.new/,
      ],
    ],
  ])('tells a %s of 0.1.0 that somebody has kept', async (name, patterns) => {
    const older = join(import.meta.dirname, 'fixtures', '0.1.0', name)
    await cp(older, join(folder, 'tollgate', name))
    const faults = await faultsOf(server(`location / { ${GATE} }`))
    expect(faults).toEqual(patterns.map((pattern) => expect.stringMatching(pattern)))
    await cp(join(packageDir(), 'nginx', 'tollgate', name), join(folder, 'tollgate', name))
  })

  test('believes a pattern of a map', async () => {
    const head = `${HEAD} map $uri $by_map { ~^/(\\w+)/ $1; default vllm; }`
    const site = 'location / { set $tollgate_upstream $by_map; include tollgate/gate.conf; }'
    expect(await faultsOf(server(site), head)).toEqual([])
  })
})
