import { createServer } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Client, Clients, Key } from '../../src/core/config/shapes.ts'
import { freePort, type Gate, makeKey, sleep, startGate } from './harness.ts'
import { watchLogs } from './logs.ts'
import { ask, exchange, firstAnswer, message } from './raw.ts'
import { findEngines } from './setups.ts'

const models = '/v1/models'
const hasIPv6 = await new Promise<boolean>((resolve) => {
  const server = createServer()
  server.once('error', () => resolve(false))
  server.listen(0, '::1', () => server.close(() => resolve(true)))
})

/** One client with one key for each thing that may be said of either. */
function cast() {
  const secrets: Record<string, string> = {}
  const clients: Clients = { version: 1, clients: {} }
  const add = (name: string, client: Partial<Client> = {}, key: Partial<Key> = {}) => {
    const { secret, record } = makeKey()
    secrets[name] = secret
    clients.clients[name] = { ...client, keys: [{ ...record, ...key }] }
  }
  const at = (ms: number) => new Date(Date.now() + ms).toISOString()
  add('constructor')
  add('expired', {}, { expires: at(-1000) })
  add('lasting', {}, { expires: at(3_600_000) })
  add('ending', {}, { expires: at(2500) })
  add('far-east', {}, { expires: at(10 * 3_600_000).replace('Z', '+09:00') })
  add('east', {}, { expires: at(8 * 3_600_000).replace('Z', '+09:00') })
  add('revoked', {}, { revoked: at(-1000) })
  add('disabled', { disabled: true })
  add('loopback', { addresses: ['127.0.0.0/8'] })
  add('loopback-six', { addresses: ['::1'] })
  add('mapped', { addresses: ['::ffff:127.0.0.1'] })
  add('elsewhere', { addresses: ['10.0.0.0/8', '2001:db8::/32'] })
  add('nowhere', { addresses: [] })
  add('embedder', { scopes: ['embeddings'] })
  add('nothing', { scopes: [] })
  return { secrets, clients }
}

const imported: [string, string][] = [
  ['one character', 'x'],
  ['an OpenAI key', 'sk-proj-AbC_dEf-123'],
  ['a UUID', '3f8b1c1e-7a43-4a57-9f0e-2f2c6d7f6f5a'],
  ['base64', 'aGVsbG8gd29ybGQ+Pz8/Cg=='],
  ['every mark of ASCII but the comma', '!"#$%&\'()*+-./:;<=>?@[\\]^_`{|}~'],
  ['a space inside', 'correct horse battery staple'],
  ['letters beyond ASCII', 'naïve-ключ-金鑰-🔑'],
  ['a word that every object has', '__proto__'],
  ['8,000 bytes', 'k'.repeat(8000)],
]

watchLogs()

describe.each(await findEngines())('$name', (setup) => {
  const { secrets, clients } = cast()
  const held = Object.fromEntries(imported.map(([, secret], index) => [secret, `import-${index}`]))
  for (const [secret, name] of Object.entries(held)) {
    clients.clients[name] = { keys: [makeKey(secret).record] }
  }
  const bytes = (text: string) => Buffer.from(text).toString('latin1')
  let gate: Gate
  let portSix: number

  beforeAll(async () => {
    portSix = await freePort()
    const serverExtra = hasIPv6 ? `listen [::1]:${portSix};` : ''
    // Bad keys are what this file is about; the lock-out has a file of its own.
    const policy = { version: 1 as const, lockout: { badKeysPerMinute: 100_000 } }
    gate = await startGate(setup, { clients, policy, serverExtra })
  })
  afterAll(() => gate.stop())
  beforeEach(() => gate.mock.reset())

  /** Sends header lines in which {key} is a live key and {other} another one. */
  async function judge(lines: string[], target = models) {
    const filled = lines.map((line) =>
      line.replaceAll('{key}', gate.key).replaceAll('{other}', secrets.lasting ?? ''),
    )
    const { length } = await gate.ledger()
    const answer = await ask(gate, 'GET', target.replaceAll('{key}', gate.key), filled)
    const line = (await gate.ledger(length + 1))[length]
    return { answer, line, reached: gate.mock.log().length }
  }

  test.each([
    ['Bearer', ['Authorization: Bearer {key}']],
    ['the scheme in lower case', ['authorization: bearer {key}']],
    ['the scheme in capitals', ['AUTHORIZATION: BEARER {key}']],
    ['several spaces', ['Authorization:    Bearer     {key}   ']],
    ['tabs', ['Authorization:\tBearer\t\t{key}\t']],
    ['no space before the value', ['Authorization:Bearer {key}']],
    ['x-api-key', ['x-api-key: {key}']],
    ['X-API-KEY in capitals', ['X-API-KEY: {key}']],
    ['api-key', ['api-key:   {key}  ']],
    [
      'the same key in all three',
      ['Authorization: Bearer {key}', 'x-api-key: {key}', 'api-key: {key}'],
    ],
    ['x-api-key twice with the same key', ['x-api-key: {key}', 'X-Api-Key: {key}']],
    ['an empty header beside the key', ['x-api-key:', 'x-api-key: {key}', 'api-key: ']],
    ['a key beside Basic', ['Authorization: Basic eDp5', 'x-api-key: {key}']],
    ['a key beside an empty Bearer', ['Authorization: Bearer ', 'api-key: {key}']],
  ])('admits %s', async (_, lines) => {
    const { answer, line, reached } = await judge(lines)
    expect(answer.status).toBe(200)
    expect(line).toMatchObject({ client: 'app', key: gate.keyId, outcome: 'ok' })
    expect(reached).toBe(1)
  })

  test.each([
    ['nothing', [], 'missing_key'],
    ['an empty Authorization', ['Authorization:'], 'missing_key'],
    ['the scheme alone', ['Authorization: Bearer'], 'missing_key'],
    ['the scheme and spaces', ['Authorization: Bearer    '], 'missing_key'],
    ['no space behind the scheme', ['Authorization: Bearer{key}'], 'missing_key'],
    ['a key without a scheme', ['Authorization: {key}'], 'missing_key'],
    ['Basic', ['Authorization: Basic {key}'], 'missing_key'],
    ['Digest', ['Authorization: Digest {key}'], 'missing_key'],
    ['empty plain headers', ['x-api-key:', 'api-key:'], 'missing_key'],
    ['only commas', ['x-api-key: , ,'], 'missing_key'],
    ['an underscore in the name', ['x_api_key: {key}'], 'missing_key'],
    [
      'headers that nobody reads',
      ['Proxy-Authorization: Bearer {key}', 'key: {key}'],
      'missing_key',
    ],
    ['a cookie', ['Cookie: api_key={key}; Authorization=Bearer {key}'], 'missing_key'],
    ['the gate’s own header', ['X-API-Client: app'], 'missing_key'],
    ['a key and one more character', ['Authorization: Bearer {key}x'], 'invalid_key'],
    ['a key in quotes', ['Authorization: Bearer "{key}"'], 'invalid_key'],
    ['a key and another word', ['Authorization: Bearer {key} x'], 'invalid_key'],
    ['two keys in one Bearer', ['Authorization: Bearer {key}, {key}'], 'invalid_key'],
    ['the scheme in x-api-key', ['x-api-key: Bearer {key}'], 'invalid_key'],
    ['the scheme twice', ['Authorization: Bearer Bearer {key}'], 'invalid_key'],
    ['a byte beyond ASCII', ['Authorization: Bearer {key}\xa0'], 'invalid_key'],
    ['bytes that are no UTF-8', ['Authorization: Bearer \xff\xfe\xc3'], 'invalid_key'],
    [
      'another key in x-api-key',
      ['Authorization: Bearer {key}', 'x-api-key: {other}'],
      'ambiguous_key',
    ],
    ['another key in api-key', ['x-api-key: {key}', 'api-key: {other}'], 'ambiguous_key'],
    [
      'x-api-key twice with different keys',
      ['x-api-key: {key}', 'x-api-key: {other}'],
      'ambiguous_key',
    ],
    ['different keys in one header', ['x-api-key: {key},{other}'], 'ambiguous_key'],
    [
      'a good key and a bad one',
      ['x-api-key: bad', 'Authorization: Bearer {key}'],
      'ambiguous_key',
    ],
  ])('refuses %s', async (_, lines, outcome) => {
    const { answer, line, reached } = await judge(lines)
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toBe('Bearer')
    expect(line).toMatchObject({ outcome, status: 401, route: 'models' })
    expect(line).not.toHaveProperty('client')
    expect(reached).toBe(0)
  })

  test.each(['key', 'api_key', 'api-key', 'x-api-key', 'access_token', 'Authorization'])(
    'never takes a key from the query: %s',
    async (name) => {
      const { answer, line, reached } = await judge([], `${models}?${name}={key}`)
      expect([answer.status, line?.outcome, reached]).toEqual([401, 'missing_key', 0])
    },
  )

  test('no name of an entry of the zone, and no hash, is a key', async () => {
    const { sha256 } = makeKey(gate.key).record
    for (const secret of ['routes', 'lockout', 'stamp', 'state', 'progress', sha256]) {
      const { line, reached } = await judge([`x-api-key: ${secret}`])
      expect([secret, line?.outcome, reached]).toEqual([secret, 'invalid_key', 0])
    }
  })

  test('two Authorization headers are a bad request, be they the same or not', async () => {
    const bearer = `Authorization: Bearer ${gate.key}`
    for (const other of [bearer, 'Authorization: Basic x', 'Authorization: Bearer x']) {
      const { answer, line, reached } = await judge([bearer, other])
      expect([answer.status, line?.outcome, reached]).toEqual([400, 'bad_request', 0])
    }
  })

  test('a key in the trailer of a chunked body is none', async () => {
    const lines = ['Connection: close', 'Transfer-Encoding: chunked', 'Trailer: x-api-key']
    const text = `${message('POST', '/v1/chat/completions', lines)}0\r\nx-api-key: ${gate.key}\r\n\r\n`
    expect(firstAnswer(await exchange(gate, text)).status).toBe(401)
    expect(gate.mock.log()).toHaveLength(0)
  })

  test('a header beyond nginx’s buffers is 431, one just within is read', async () => {
    const long = await judge([`Authorization: Bearer ${'x'.repeat(9000)}`])
    expect([long.answer.status, long.line?.outcome]).toEqual([431, 'bad_request'])
    const fits = await judge([`Authorization: Bearer ${'x'.repeat(8100)}`])
    expect([fits.answer.status, fits.line?.outcome]).toEqual([401, 'invalid_key'])
    expect(gate.mock.log()).toHaveLength(0)
  })

  test.each(imported)('an imported key with %s works in every header', async (_, secret) => {
    const forms = ['Authorization: Bearer ', 'x-api-key: ', 'api-key: ']
    for (const form of forms) {
      const { answer, line } = await judge([`${form}${bytes(secret)}`])
      expect([form, answer.status]).toEqual([form, 200])
      expect(line).toMatchObject({ client: held[secret], outcome: 'ok' })
    }
  })

  test.each([
    ['constructor', models, 'ok'],
    ['lasting', models, 'ok'],
    ['far-east', models, 'ok'],
    ['east', models, 'expired_key'],
    ['expired', models, 'expired_key'],
    ['revoked', models, 'revoked_key'],
    ['disabled', models, 'client_disabled'],
    ['loopback', models, 'ok'],
    ['mapped', models, 'ok'],
    ['loopback-six', models, 'address_denied'],
    ['elsewhere', models, 'address_denied'],
    ['nowhere', models, 'address_denied'],
    ['embedder', models, 'scope_denied'],
    ['embedder', '/health', 'ok'],
    ['nothing', models, 'scope_denied'],
  ])('client %s at %s: %s', async (client, path, outcome) => {
    const { answer, line, reached } = await judge([`x-api-key: ${secrets[client]}`], path)
    const refused = outcome.endsWith('_key') ? 401 : 403
    expect(answer.status).toBe(outcome === 'ok' ? 200 : refused)
    expect(line).toMatchObject({ outcome, ...(path === models ? { client } : {}) })
    expect(reached).toBe(outcome === 'ok' ? 1 : 0)
  })

  test('a scope opens its own routes', async () => {
    const key = secrets.embedder ?? ''
    const body = JSON.stringify({ input: 'text' })
    expect((await gate.call('/v1/embeddings', { key, body })).status).toBe(200)
    expect((await gate.call('/v1/chat/completions', { key, body })).status).toBe(403)
    expect(gate.mock.log().map((record) => record.path)).toEqual(['/v1/embeddings'])
  })

  test.runIf(hasIPv6)('an IPv6 caller is held against IPv6 blocks', async () => {
    const six = async (client: string) => {
      const lines = ['Connection: close', `x-api-key: ${secrets[client]}`]
      const text = await exchange({ port: portSix }, message('GET', models, lines), '::1')
      return firstAnswer(text).status
    }
    expect(await six('loopback-six')).toBe(200)
    expect(await six('loopback')).toBe(403)
    expect(await six('elsewhere')).toBe(403)
    expect((await gate.ledger()).at(-1)).toMatchObject({ remote: '::1' })
  })

  test('a key ends by itself when its time has come', async () => {
    const line = `x-api-key: ${secrets.ending}`
    let outcome: unknown = 'ok'
    for (let i = 0; i < 40 && outcome === 'ok'; i++) {
      outcome = (await judge([line])).line?.outcome
      await sleep(100)
    }
    expect(outcome).toBe('expired_key')
    expect((await gate.state()).generation).toBe(1)
  })
})
