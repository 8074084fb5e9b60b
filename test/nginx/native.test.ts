import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LIMIT_VARIABLES } from '../../build/includes/limits.ts'
import type { Ticket } from '../../src/core/admit/admit.ts'
import { answerRefusal } from '../../src/core/admit/answer.ts'
import type { Refusal } from '../../src/core/admit/outcome.ts'
import { listRefusals } from '../../src/core/admit/refusals.ts'
import type { Dialect } from '../../src/core/admit/route.ts'
import { findRoute, listRoutes, pathOf } from '../../src/core/admit/routes.ts'
import { tellWait } from '../../src/core/admit/wait.ts'
import { type Figures, tellLimits } from '../../src/core/limits/refusal.ts'
import { limitVariables } from '../core/limits/headers.ts'
import { freePort } from './harness.ts'
import { exchange, firstAnswer, message, open, type RawAnswer } from './raw.ts'
import { findEngines, type Running, runNginx, type Setup } from './setups.ts'

/*
 * What nginx says by the includes that are made of core's tables, beside what core says itself.
 */

const INCLUDES = resolve(import.meta.dirname, '../../nginx/tollgate')
const MUTATIONS = 10_000
const CONNECTIONS = 8
/** `TOLLGATE_SEED=1` tries the lines of a run again that failed. */
const SEED = Number(process.env.TOLLGATE_SEED) || Date.now() % 1_000_000

type Ports = { routes: number; text: number; refusals: number }

/** The headers of limits, as answer.conf has them. */
async function limitHeaders(): Promise<[header: string, variable: string][]> {
  const text = await readFile(join(INCLUDES, 'answer.conf'), 'utf8')
  return [...text.matchAll(/^add_header (\S*RateLimit\S*) \$(\w+) always;/gim)].map(
    ([, header = '', variable = '']) => [header, variable],
  )
}

async function writeConf(setup: Setup, root: string, ports: Ports): Promise<void> {
  const limits = (await limitHeaders()).map(
    ([name, value]) => `add_header ${name} $${value} always;`,
  )
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const include = (name: string) => `include ${INCLUDES}/${name};`
  await writeFile(
    join(root, 'nginx.conf'),
    `
${setup.nginx.loadModule ? `load_module ${setup.nginx.loadModule};` : ''}
daemon off;
pid ${root}/nginx.pid;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { }
http {
  ${temp.map((name) => `${name}_temp_path ${root}/${name}_temp;`).join(' ')}
  access_log off;
  keepalive_requests 1000000;
  ${setup.nginx.engine === 'qjs' ? 'js_engine qjs;' : ''}
  ${include('routes.conf')}
  ${include('limits.conf')}
  js_var $tg_words;
  ${include('refusals.conf')}
  server {
    listen 127.0.0.1:${ports.routes};
    location / {
      set $tollgate_prefix $http_x_prefix;
      add_header X-Route "$tollgate_route|$tg_at_path|$tg_at_method" always;
      add_header X-Method "$request_method" always;
      add_header X-Path "$tollgate_path" always;
      add_header X-Line "$request" always;
      return 204;
    }
  }
  server {
    listen 127.0.0.1:${ports.text};
    http2 on;
    return 200 "$tollgate_route|$tg_at_path";
  }
  server {
    listen 127.0.0.1:${ports.refusals};
    location / {
      if ($http_x_told ~ "^\\[(.*)\\]$") { set $tg_told $1; }
      set $tg_fate $http_x_fate;
      set $tg_detail $http_x_detail;
      set $tg_wait $http_x_wait;
      set $tg_kind $http_x_kind;
      set $tg_allow $http_x_allow;
      types { }
      default_type application/json;
      add_header X-Request-Id $request_id always;
      add_header WWW-Authenticate $tg_challenge always;
      add_header Allow $tg_allow always;
      add_header Retry-After $tg_retry always;
      add_header Retry-After-Ms $tg_wait_ms always;
      add_header X-Should-Retry $tg_retriable always;
      ${limits.join('\n      ')}
      ${include('refused.conf')}
      return 204;
    }
  }
}
`,
  )
}

/** What core says of a request line: route, route of the path, and its method. */
function judge(method: string, line: string): string {
  const route = findRoute(pathOf(method, line))
  if (!route) return '||'
  return `${method === route.method ? route.name : ''}|${route.name}|${route.method}`
}

/**
 * Asks one after the other over one connection, and opens another where nginx has closed it; null where
 * nginx refused a line by itself.
 */
async function askAll(port: number, texts: readonly string[]): Promise<(RawAnswer | null)[]> {
  const answers: (RawAnswer | null)[] = []
  let socket = await open(port)
  for (const text of texts) {
    if (socket.destroyed || socket.readableEnded || !socket.writable) socket = await open(port)
    const got = await askOnce(socket, text)
    const isOurs = got.startsWith('HTTP/1.1 204')
    answers.push(isOurs ? firstAnswer(got) : null)
    if (!isOurs) socket.destroy()
  }
  socket.destroy()
  return answers
}

/** The head of an answer without a body, or all that came until nginx closed. */
function askOnce(socket: Awaited<ReturnType<typeof open>>, text: string): Promise<string> {
  return new Promise((resolve) => {
    let got = ''
    const done = () => {
      socket.removeAllListeners()
      socket.on('error', () => {})
      resolve(got)
    }
    socket.on('error', done)
    socket.on('close', done)
    socket.on('data', (piece) => {
      got += piece.toString('latin1')
      if (got.startsWith('HTTP/1.1 204') && got.endsWith('\r\n\r\n')) done()
    })
    socket.write(Buffer.from(text, 'latin1'))
  })
}

describe.each(await findEngines())('$name', (setup) => {
  let root: string
  let ports: Ports
  let nginx: Running

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'tollgate-native-'))
    await mkdir(join(root, 'logs'))
    ports = { routes: await freePort(), text: await freePort(), refusals: await freePort() }
    await writeConf(setup, root, ports)
    nginx = await runNginx(setup, root, root)
  })
  afterAll(async () => {
    await nginx.stop()
    const severe = (await readFile(join(root, 'error.log'), 'utf8'))
      .split('\n')
      .filter((line) => /\[(warn|error|crit|alert|emerg)\]/.test(line))
    await rm(root, { recursive: true, force: true })
    expect(severe).toEqual([])
  })

  async function routeOf(line: string, prefix = ''): Promise<RawAnswer> {
    const [answer] = await askAll(ports.routes, [
      `${line}\r\nHost: gate\r\nX-Prefix: ${prefix}\r\nConnection: close\r\n\r\n`,
    ])
    if (!answer) throw new Error(`There is no answer to ${line}`)
    return answer
  }

  describe('the route', () => {
    const rows = listRoutes().map(({ method, path, name }) => ({ method, path, name }))

    test.each(rows)('$method $path is $name', async ({ method, path, name }) => {
      const other = method === 'GET' ? 'POST' : 'GET'
      for (const version of ['HTTP/1.1', 'HTTP/1.0']) {
        for (const end of ['', '?', '?a=b', '?a=/v1/models', '?a?b']) {
          const right = await routeOf(`${method} ${path}${end} ${version}`)
          expect(right.headers['x-route']).toBe(`${name}|${name}|${method}`)
          expect(right.headers['x-path']).toBe(`${path}${end}`)
          const wrong = await routeOf(`${other} ${path}${end} ${version}`)
          expect(wrong.headers['x-route']).toBe(`|${name}|${method}`)
        }
      }
    })

    test.each([
      ['another case of the path', 'POST /V1/CHAT/COMPLETIONS HTTP/1.1'],
      ['one capital', 'GET /v1/Models HTTP/1.1'],
      ['a slash twice', 'GET //v1/models HTTP/1.1'],
      ['a slash within twice', 'GET /v1//models HTTP/1.1'],
      ['a slash at the end', 'GET /v1/models/ HTTP/1.1'],
      ['a slash that is encoded', 'GET /v1%2Fmodels HTTP/1.1'],
      ['a letter that is encoded', 'GET /v1/model%73 HTTP/1.1'],
      ['dots', 'GET /v1/x/../models HTTP/1.1'],
      ['a dot', 'GET /./v1/models HTTP/1.1'],
      ['a semicolon', 'GET /v1/models;x HTTP/1.1'],
      ['a fragment', 'GET /v1/models#x HTTP/1.1'],
      ['a question mark that is encoded', 'GET /v1/models%3F HTTP/1.1'],
      ['a host in the line', 'GET http://gate/v1/models HTTP/1.1'],
      ['two spaces before the path', 'GET  /v1/models HTTP/1.1'],
      ['more of the path', 'GET /v1/modelsX HTTP/1.1'],
      ['less of the path', 'GET /v1/model HTTP/1.1'],
      ['a known path in the query', 'GET /?/v1/models HTTP/1.1'],
      ['no path', 'GET / HTTP/1.1'],
    ])('%s is none', async (_, line) => {
      const { headers } = await routeOf(line)
      expect([headers['x-route'], headers['x-line']]).toEqual(['||', line])
    })

    test.each(['HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH', 'X-GET', 'GETS', 'MY_POST'])(
      '%s is the wrong method of a known path',
      async (method) => {
        const { headers } = await routeOf(`${method} /v1/messages HTTP/1.1`)
        expect(headers['x-route']).toBe('|messages|POST')
      },
    )

    test('two spaces after the path change nothing, as for core', async () => {
      const line = 'GET /v1/models  HTTP/1.1'
      const { headers } = await routeOf(line)
      expect([headers['x-route'], headers['x-line']]).toEqual(['models|models|GET', line])
      expect(judge('GET', line)).toBe('models|models|GET')
    })

    test('a line of HTTP/0.9 has no version', async () => {
      expect(await exchange({ port: ports.text }, 'GET /v1/models\r\n')).toBe('models|models')
      expect(await exchange({ port: ports.text }, 'GET /v1/modelsx\r\n')).toBe('|')
    })

    test('HTTP/2 has the same routes', async () => {
      const session = connectHttp2(`http://127.0.0.1:${ports.text}`)
      const ask = async (method: string, path: string) => {
        const stream = session.request({ ':method': method, ':path': path })
        let text = ''
        for await (const piece of stream) text += piece
        return text
      }
      try {
        for (const { method, path, name } of listRoutes()) {
          expect(await ask(method, path)).toBe(`${name}|${name}`)
          expect(await ask(method, `${path}?a=b`)).toBe(`${name}|${name}`)
          expect(await ask('PUT', path)).toBe(`|${name}`)
        }
        for (const path of ['/V1/models', '//v1/models', '/v1%2Fmodels', '/v1/models;x', '/?/v1']) {
          expect(await ask('GET', path)).toBe('|')
        }
      } finally {
        session.close()
        await once(session, 'close')
      }
    })

    test(`is that of core for ${MUTATIONS} lines of seed ${SEED}`, async () => {
      console.log(`TOLLGATE_SEED=${SEED}`)
      const lines = mutateLines(SEED, MUTATIONS)
      const texts = lines.map((line) => `${line}\r\nHost: gate\r\nConnection: keep-alive\r\n\r\n`)
      const share = Math.ceil(texts.length / CONNECTIONS)
      const answers = await Promise.all(
        Array.from({ length: CONNECTIONS }, (_, i) =>
          askAll(ports.routes, texts.slice(i * share, (i + 1) * share)),
        ),
      )
      const counts = { right: 0, wrongMethod: 0, none: 0, refused: 0 }
      for (const answer of answers.flat()) {
        if (!answer) {
          counts.refused++
          continue
        }
        const line = answer.headers['x-line'] ?? ''
        const told = answer.headers['x-route'] ?? ''
        expect(told, line).toBe(judge(answer.headers['x-method'] ?? '', line))
        // What goes to the server behind is what was judged.
        if (told !== '||') expect(line.split(' ')[1]).toBe(answer.headers['x-path'])
        counts[told === '||' ? 'none' : told.startsWith('|') ? 'wrongMethod' : 'right']++
      }
      console.log(JSON.stringify(counts))
      expect(counts.right).toBeGreaterThan(MUTATIONS / 20)
      expect(counts.wrongMethod).toBeGreaterThan(MUTATIONS / 100)
      expect(counts.none).toBeGreaterThan(MUTATIONS / 5)
    })
  })

  describe('a prefix', () => {
    const none = ['||', '/tollgate-no-such-path']

    test.each([
      ['is cut', '/llm', '/llm/v1/models', ['models|models|GET', '/v1/models']],
      [
        'of two folders too',
        '/llm/qwen',
        '/llm/qwen/v1/models',
        ['models|models|GET', '/v1/models'],
      ],
      [
        'leaves the query',
        '/llm',
        '/llm/v1/models?a=/llm',
        ['models|models|GET', '/v1/models?a=/llm'],
      ],
      ['is cut once', '/llm', '/llm/llm/v1/models', ['||', '/llm/v1/models']],
      ['leaves what is encoded behind it', '/llm', '/llm/v1%2Fmodels', ['||', '/v1%2Fmodels']],
      ['leaves dots behind it', '/llm', '/llm/../v1/models', ['||', '/../v1/models']],
      ['is no pattern', '/l.m', '/llm/v1/models', none],
      [
        'with signs of patterns is cut',
        '/l.m+(x)',
        '/l.m+(x)/v1/models',
        ['models|models|GET', '/v1/models'],
      ],
      ['is not cut where it is missing', '/llm', '/v1/models', none],
      ['has to be whole', '/llm', '/llmx/v1/models', none],
      ['has to be alone', '/llm', '/llm', none],
      ['has to have its case', '/llm', '/LLM/v1/models', none],
      ['is not decoded', '/llm', '/%6clm/v1/models', none],
      ['has no slash more', '/llm', '//llm/v1/models', none],
      ['has no dots', '/llm', '/x/../llm/v1/models', none],
      ['that ends with a slash wants another', '/llm/', '/llm/v1/models', none],
      ['with a bar finds nothing', '/a|b', '/a|b/v1/models', none],
      ['is not looked for in a host', '/llm', 'http://llm/v1/models', none],
    ])('%s', async (_, prefix, target, [route, path]) => {
      const { headers } = await routeOf(`GET ${target} HTTP/1.1`, prefix)
      expect([headers['x-route'], headers['x-path']]).toEqual([route, path])
    })

    test('in a line with a host finds no route, whatever the path', async () => {
      const { headers } = await routeOf('GET http://gate/llm/v1/models HTTP/1.1', '/llm')
      expect(headers['x-route']).toBe('||')
    })
  })

  async function refuse(dialect: Dialect, lines: Record<string, string>): Promise<RawAnswer> {
    const target = dialect === 'anthropic' ? '/v1/messages' : '/v1/chat/completions'
    const headers = Object.entries(lines).map(([name, value]) => `${name}: ${value}`)
    const text = message('POST', target, ['Connection: close', 'Content-Length: 0', ...headers])
    return firstAnswer(await exchange({ port: ports.refusals }, text))
  }

  describe('a refusal', () => {
    const more: [Refusal, Partial<Ticket>][] = [
      ['unknown_route', { allow: 'POST' }],
      ['unknown_route', { allow: 'GET' }],
      ['invalid_body', { isEncoded: true, message: 'Something else' }],
      ['rate_limited', { limit: 'tokensPerMinute of client', retryAfterMs: 1500 }],
      ['rate_limited', { limit: 'requestsPerMinute of key', retryAfterMs: 60000 }],
      ['locked_out', { retryAfterMs: 3600000 }],
      ['locked_out', { retryAfterMs: 1 }],
      ['rate_limited', { retryAfterMs: 0 }],
      ['budget_spent', { message: 'Your budget of 5,000 tokens is spent' }],
      [
        'model_denied',
        { message: `No "model" is \\ called $request_uri \u0001\n'中文' / </script>` },
      ],
    ]
    const rows = [...listRefusals().map((one): [Refusal, Partial<Ticket>] => [one, {}]), ...more]
    const dialects = ['openai', 'anthropic'] as const

    test.each(
      rows.flatMap(([outcome, fields]) =>
        dialects.map((dialect) => ({ outcome, dialect, fields, with: JSON.stringify(fields) })),
      ),
    )('$outcome for $dialect with $with', async ({ outcome, dialect, fields }) => {
      const detail = JSON.stringify(fields.message ?? '').slice(1, -1)
      const kind = fields.isEncoded ? 'encoded' : /okens/.test(fields.limit ?? '') ? 'tokens' : ''
      const told = await refuse(dialect, {
        'X-Fate': outcome,
        'X-Detail': Buffer.from(detail).toString('latin1'),
        'X-Wait': fields.retryAfterMs === undefined ? '' : tellWait(fields.retryAfterMs),
        'X-Kind': kind,
        'X-Allow': fields.allow ?? '',
      })
      const id = told.headers['x-request-id'] ?? ''
      const wanted = answerRefusal({ outcome, dialect, ...fields }, 0, id)
      const names = ['content-type', 'allow', 'www-authenticate', 'x-should-retry']
      const headers = [...names, 'retry-after', 'retry-after-ms'].flatMap((name) => {
        const value = told.headers[name]
        return value === undefined ? [] : [[name, value]]
      })
      expect({
        status: told.status,
        headers: Object.fromEntries(headers),
        body: Buffer.from(told.body, 'latin1').toString(),
      }).toEqual(wanted)
    })

    test('without an outcome of the list is told as a broken gate', async () => {
      const told = await refuse('openai', { 'X-Fate': 'no_such_outcome' })
      const wanted = answerRefusal({ outcome: 'gate_error', dialect: 'openai' }, 0, '')
      expect([told.status, told.body]).toEqual([500, wanted.body])
    })

    test('is none where the request was admitted', async () => {
      expect((await refuse('openai', {})).status).toBe(204)
    })

    test.each([
      ['GET', '/v1/messages', 'anthropic'],
      ['GET', '/v1/messages/count_tokens?a=b', 'anthropic'],
      ['GET', '/v1/chat/completions', 'openai'],
      ['GET', '/V1/messages', 'openai'],
      ['POST', '/nowhere', 'openai'],
    ])('of %s %s speaks the dialect %s', async (method, target, dialect) => {
      const text = message(method, target, ['Connection: close', 'X-Fate: unknown_route'])
      const told = firstAnswer(await exchange({ port: ports.refusals }, text))
      expect(JSON.parse(told.body).type).toBe(dialect === 'anthropic' ? 'error' : undefined)
    })
  })

  describe('the headers of limits', () => {
    const now = Date.UTC(2026, 10, 29, 12)
    const figure = (limit: number, left: number, ms: number) => ({ limit, left, resetMs: now + ms })
    const all: Figures = {
      q: figure(10, 9, 61000),
      t: figure(100000, 99500, 119000),
      i: figure(500, 0, 1),
      o: figure(600, 12.5, 60000),
      r: figure(5, 4, 86400000),
    }
    const pick = (kinds: string) =>
      Object.fromEntries(Object.entries(all).filter(([kind]) => kinds.includes(kind)))

    test.each(
      ['', 'q', 't', 'r', 'qt', 'qr', 'i', 'o', 'io', 'qi', 'to', 'qtio', 'qtior'].flatMap(
        (kinds) =>
          (['openai', 'anthropic'] as const).flatMap((dialect) =>
            ['', 'rate_limited'].map((fate) => ({ kinds, dialect, fate })),
          ),
      ),
    )('of "$kinds" for $dialect, fate "$fate"', async ({ kinds, dialect, fate }) => {
      const figures = pick(kinds)
      const told = tellLimits(figures, dialect, now)
      const { headers } = await refuse(dialect, { 'X-Told': `[${told}]`, 'X-Fate': fate })
      const names = await limitHeaders()
      const found = names.flatMap(([header, variable]) => {
        const value = headers[header.toLowerCase()]
        return value === undefined ? [] : [[variable, value]]
      })
      expect(Object.fromEntries(found)).toEqual(limitVariables(figures, dialect, now))
      expect(names.map(([, variable]) => variable).toSorted()).toEqual(LIMIT_VARIABLES.toSorted())
    })

    test('a text of another shape makes none', async () => {
      const { headers } = await refuse('openai', { 'X-Told': '[1 2 3]' })
      expect(Object.keys(headers).filter((name) => /ratelimit/.test(name))).toEqual([])
    })
  })
})

/** Lines that are nearly those of routes, by a generator that gives the same again for the same seed. */
function mutateLines(seed: number, count: number): string[] {
  let state = seed >>> 0
  const pick = (below: number) => {
    // Mulberry32.
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
  const oneOf = <T>(list: readonly T[]): T => list[pick(list.length)] as T
  const routes = listRoutes()
  const methods = [
    'GET',
    'POST',
    'HEAD',
    'PUT',
    'OPTIONS',
    'get',
    'Post',
    'GETX',
    'POS',
    'X_Y',
    'A-B',
  ]
  const versions = ['HTTP/1.1', 'HTTP/1.0', 'HTTP/1.1', 'HTTP/1.1 ', ' HTTP/1.1', 'HTTP/1.2']
  const pieces = [
    ...[
      '/',
      '//',
      '..',
      '/../',
      '/./',
      '.',
      '%2F',
      '%2f',
      '%2e',
      '%00',
      '%20',
      '%3F',
      ';',
      ';a=b',
      '?',
    ],
    ...[
      '?a=b',
      '??',
      '#',
      '#x',
      '\t',
      ' ',
      '  ',
      '\\',
      '\x7f',
      '\x80',
      '\xff',
      '|',
      '$',
      '^',
      '(',
      '*',
    ],
    ...[
      'http://gate',
      'HTTP/1.1',
      '/v1',
      '/v1/models',
      '/batch',
      '/render',
      's',
      'X',
      '0',
      '&',
      ':',
    ],
  ]
  const change = (text: string) => {
    const at = pick(text.length + 1)
    switch (pick(7)) {
      case 0:
        return text.slice(0, at) + oneOf(pieces) + text.slice(at)
      case 1:
        return text.slice(0, at) + text.slice(at + 1)
      case 2:
        return text.slice(0, at) + oneOf(pieces) + text.slice(at + 1)
      case 3:
        return text + oneOf(pieces)
      case 4:
        return oneOf(pieces) + text
      case 5:
        return text.slice(0, at) + text.slice(at, at + 1).toUpperCase() + text.slice(at + 1)
      default:
        return text.slice(0, at) + text.slice(at, at + 1) + text.slice(at)
    }
  }
  return Array.from({ length: count }, () => {
    const route = oneOf(routes)
    let path = route.path
    for (let left = pick(4); left > 0; left--) path = change(path)
    const method = pick(4) === 0 ? oneOf(methods) : route.method
    const line = `${method} ${path} ${pick(4) === 0 ? oneOf(versions) : 'HTTP/1.1'}`
    return pick(12) === 0 ? change(line) : line
  })
}
