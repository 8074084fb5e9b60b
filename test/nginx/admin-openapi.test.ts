import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { packageDir } from '../../src/cli/install/layout.ts'
import { listProblems, problem } from '../../src/core/admin/problems.ts'
import { listAdminRoutes } from '../../src/core/admin/routes.ts'
import { clientSchema, policySchema } from '../../src/core/config/schema.ts'
import { caller, isNew, matching } from './adminapi.ts'
import { type Gate, startGate, until } from './harness.ts'
import { watchLogs } from './logs.ts'
import { findEngines } from './setups.ts'
import { send } from './wire.ts'

type Schema = { [keyword: string]: unknown }
type Operation = {
  operationId: string
  security?: unknown[]
  parameters?: { $ref?: string; name?: string; in?: string }[]
  requestBody?: { content: { [type: string]: unknown } }
  responses: { [status: string]: { $ref?: string; content?: { [type: string]: unknown } } }
}

const document = JSON.parse(await readFile(join(packageDir(), 'docs', 'openapi.json'), 'utf8'))
const operations: [string, Operation][] = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item as { [method: string]: Operation }).map(
    ([method, operation]): [string, Operation] => [`${method.toUpperCase()} ${path}`, operation],
  ),
)
const operationOf = (call: string) => new Map(operations).get(call)

watchLogs()

describe('docs/openapi.json', () => {
  test('is a valid OpenAPI 3.1 document', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document))
    expect(errors ?? []).toEqual([])
    expect(valid).toBe(true)
  })

  test('has every route of the router and no other', () => {
    const routes = listAdminRoutes().map(({ method, path }) => `${method} ${path}`)
    expect(operations.map(([call]) => call).sort()).toEqual([...routes, 'GET /openapi.json'].sort())
    const ids = operations.map(([, { operationId }]) => operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('says of every route that it needs a token, and which only those that write take', () => {
    expect(document.security).toEqual([{ token: [] }])
    const open = operations.filter(([, { security }]) => security?.length === 0)
    expect(open.map(([call]) => call)).toEqual(['GET /openapi.json'])
    for (const { method, path, role } of listAdminRoutes()) {
      const responses = operationOf(`${method} ${path}`)?.responses ?? {}
      expect(responses, path).toHaveProperty('401')
      expect('403' in responses, `${method} ${path}`).toBe(role === 'write')
    }
  })

  test('names every parameter of a path', () => {
    for (const [call, { parameters = [] }] of operations) {
      const names = [...call.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const found = parameters
        .map(({ $ref, ...own }) => ($ref ? resolve($ref) : own))
        .filter((one) => one['in'] === 'path')
      expect(found.map((one) => one['name'])).toEqual(names)
    }
  })

  test('has the status of every problem', () => {
    const known = Object.keys(document.components.responses).map((name) => Number(name.slice(1)))
    for (const name of listProblems()) expect(known).toContain(problem(name, '').status)
  })

  test('has the fields that the configuration has', () => {
    const { schemas } = document.components
    const { keys: _, ...fields } = clientSchema().properties ?? {}
    const { admins: __, ...policy } = policySchema().properties ?? {}
    expect(Object.keys(schemas.ClientFields.properties)).toEqual(Object.keys(fields))
    expect(Object.keys(schemas.Policy.properties)).toEqual(Object.keys(policy))
    expect(schemas.Limits).toEqual(JSON.parse(JSON.stringify(fields['limits'])))
    expect(schemas.Budgets).toEqual(JSON.parse(JSON.stringify(fields['budgets'])))
    expect(schemas.RequestCeilings).toEqual(JSON.parse(JSON.stringify(fields['request'])))
    const plan = policy['plans']?.additionalProperties
    expect(Object.keys(schemas.PlanFields.properties)).toEqual(
      Object.keys((plan || undefined)?.properties ?? {}),
    )
  })
})

function resolve(ref: string): Schema {
  return ref
    .slice(2)
    .split('/')
    .reduce((found, name) => found[name] as Schema, document as Schema)
}

/** The same schemas without room for fields that nobody has described. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed)
  if (typeof value !== 'object' || value === null) return value
  const copy = Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, closed(inner)]),
  )
  const isObject = typeof copy['properties'] === 'object' && copy['type'] !== undefined
  return isObject ? { additionalProperties: false, ...copy } : copy
}

describe.each(await findEngines())('$name: what the admin API answers', (setup) => {
  const ajv = new Ajv2020({
    strict: false,
    formats: { 'date-time': /^\d{4}-.*(Z|[+-]\d\d:\d\d)$/ },
  })
  ajv.addSchema({ $id: 'api', ...(closed(document) as object) })
  const seen = new Set<string>()
  let gate: Gate
  let raw: ReturnType<typeof caller>
  beforeAll(async () => {
    gate = await startGate(setup, {
      policy: {
        version: 1,
        plans: { usual: { limits: { concurrency: 3 }, budgets: { costPerMonth: 5, hard: true } } },
        prices: { '*': { input: 1, output: 2 } },
        groups: { web: { limits: { requestsPerMinute: 1000 } } },
      },
    })
    gate.expectErrors(/Tollgate has ended this stream: cut_operator/)
    raw = caller(gate)
  })
  afterAll(() => gate.stop())

  /** Calls, and holds the answer against the document. */
  async function call(line: string, route: string, body?: unknown, headers = {}) {
    const response = await raw(line, body, headers)
    const [method = ''] = line.split(' ')
    const described = operationOf(`${method} ${route}`)?.responses[response.status]
    expect(described, `${response.status} of ${method} ${route}`).toBeDefined()
    const { content } = described?.$ref ? resolve(described.$ref) : (described ?? {})
    const text = await response.text()
    seen.add(`${method} ${route} ${response.status}`)
    if (!content) return expect(text).toBe('')
    const type = (response.headers.get('content-type') ?? '').split(';')[0] ?? ''
    const media = (content as { [type: string]: { schema: Schema } })[type]
    expect(media, `${type} of ${method} ${route}`).toBeDefined()
    if (!/json$/.test(type)) return text
    const parsed = JSON.parse(text)
    const validate = ajv.compile({ ...media?.schema, $ref: refOf(media?.schema) } as Schema)
    expect(validate(parsed), JSON.stringify([validate.errors, parsed], null, 2)).toBe(true)
    return parsed
  }

  function refOf(schema: Schema | undefined): unknown {
    const ref = schema?.['$ref']
    return typeof ref === 'string' ? `api${ref}` : undefined
  }

  test('is as the document says', async () => {
    const client = '/clients/{name}'
    await call('GET /me', '/me')
    await call('GET /openapi.json', '/openapi.json')
    const fields = {
      ...{ plan: 'usual', group: 'web', note: 'n', scopes: ['inference'], models: ['*'] },
      ...{ addresses: ['127.0.0.0/8'], request: { n: 2 }, priority: 1, shadow: false },
    }
    await call('PUT /clients/web', client, fields, isNew)
    await call('PUT /clients/web', client, fields, isNew)
    await call('PUT /clients/web', client, fields)
    await call('PUT /clients/web', client, { plan: 'none' }, await matching(gate, '/clients/web'))
    await call('PUT /clients/web', client, fields, await matching(gate, '/clients/web'))
    await call('PATCH /clients/web', client, { note: null }, await matching(gate, '/clients/web'))
    await call('GET /clients/web', client)
    await call('GET /clients/nobody', client)
    await call('GET /clients', '/clients')
    await call('GET /clients?limit=0', '/clients')
    const keys = '/clients/{name}/keys'
    const expires = new Date(Date.now() + 3_600_000).toISOString()
    const limits = { limits: { concurrency: 1 }, budgets: { tokensPerDay: 100_000 } }
    const made = await call('POST /clients/web/keys', keys, { expires, note: 'k', ...limits })
    await call('POST /clients/nobody/keys', keys, {})
    await call('POST /clients/web/keys', keys, { expires: 'x' })
    await call('POST /clients/web/keys/rotate', `${keys}/rotate`, { graceSeconds: 3600 })
    await call(`GET /keys/${made.id}`, '/keys/{id}')
    await call('GET /keys/aaaaaaaa', '/keys/{id}')
    const sha256 = createHash('sha256').update(made.key).digest('hex')
    await call('POST /keys/verify', '/keys/verify', { sha256 })
    await call('POST /keys/verify', '/keys/verify', { sha256: '0'.repeat(64) })
    const imported = [
      { line: 1, client: 'web', id: made.id, sha256 },
      { line: 2, client: 'other', id: 'aaaaaaaa', sha256: '1'.repeat(64) },
      { line: 3, client: 'other', id: 'bbbbbbbb', sha256 },
    ]
    await call('POST /import', '/import', { keys: imported, plan: 'none' })
    await call('POST /import', '/import', { keys: imported, partial: true, note: 'x' })
    await call('POST /import', '/import', { keys: [{ line: 1 }] })
    const body = {
      model: 'Qwen/Qwen3-8B',
      messages: [],
      stream: true,
      mock: 'tokens:100000,itl:20',
    }
    await until('the key', async () => {
      const { status } = await gate.call('/v1/models', { key: made.key })
      return status === 403
    })
    const stream = send(gate, '/v1/chat/completions', { key: made.key, body })
    expect((await stream.answer).status).toBe(200)
    await until('tokens', async () => {
      const { requests } = JSON.parse(await (await raw('GET /running')).text())
      return requests[0]?.completionTokens > 0
    })
    const { requests } = await call('GET /running', '/running')
    expect((await call('GET /requests', '/requests')).requests).not.toEqual([])
    await call('GET /requests?after=x', '/requests')
    await call('GET /status', '/status')
    await call('GET /clients/web/balance', '/clients/{name}/balance')
    await call('GET /balances', '/balances')
    await call(`POST /requests/${requests[0].id}/cut`, '/requests/{id}/cut')
    await call(`POST /requests/${'0'.repeat(32)}/cut`, '/requests/{id}/cut')
    await call(`POST /keys/${made.id}/revoke`, '/keys/{id}/revoke')
    await call('GET /plans', '/plans')
    await call('PUT /plans/new', '/plans/{name}', { note: 'x' }, isNew)
    await call('PUT /plans/new', '/plans/{name}', { note: 'y' }, await matching(gate, '/plans/new'))
    await call('GET /plans/new', '/plans/{name}')
    await call(
      'DELETE /plans/usual',
      '/plans/{name}',
      undefined,
      await matching(gate, '/plans/usual'),
    )
    await call('DELETE /plans/new', '/plans/{name}', undefined, await matching(gate, '/plans/new'))
    const policy = await call('GET /policy', '/policy')
    await call('POST /policy/validate', '/policy/validate', policy)
    await call('PUT /policy', '/policy', policy, await matching(gate, '/policy'))
    await call('PUT /policy', '/policy', { version: 2 }, await matching(gate, '/policy'))
    await call('DELETE /clients/web', client, undefined, await matching(gate, '/clients/web'))
    await call('GET /audit', '/audit')
    await call('GET /usage?by=client', '/usage')
    await call('GET /metrics', '/metrics')
    const without = operations
      .map(([line]) => line)
      .filter((line) => ![...seen].some((one) => one.startsWith(`${line} `)))
    expect(without).toEqual([])
  })
})
