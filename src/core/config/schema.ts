import { isPublicAllowed, listRoutes } from '../admit/routes.ts'
import { BUDGETS, LIMITS } from '../limits/table.ts'

/**
 * The JSON Schemas of policy.json and clients.json, in the subset of draft 2020-12 that validate.ts
 * reads. The build writes them out as files for editors, so there is one source for both.
 */
export type Schema = {
  $schema?: string
  title?: string
  description?: string
  type?: string | string[]
  const?: number | string
  enum?: string[]
  properties?: { [name: string]: Schema }
  required?: string[]
  additionalProperties?: Schema | false
  propertyNames?: { pattern: string }
  maxProperties?: number
  items?: Schema
  maxItems?: number
  pattern?: string
  maxLength?: number
  minimum?: number
  maximum?: number
  format?: 'date-time'
  default?: number | string | boolean | string[]
}

/** Names of clients, plans and groups: they stand in headers and logs, so plain ASCII, no spaces. */
export const NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._@:+-]{0,127}$'
export const KEY_ID_PATTERN = '^[a-z0-9]{8}$'
export const HASH_PATTERN = '^[0-9a-f]{64}$'
/** An address without user, query and fragment, and without the /v1 that callers put behind it. */
export const URL_PATTERN =
  '^https?://(?:[A-Za-z0-9_-]+(?:\\.[A-Za-z0-9_-]+)*|\\[[0-9A-Fa-f:.]+\\])(?::[0-9]{1,5})?' +
  '(?:/(?!v1/?$)[A-Za-z0-9._~-]+)*/?$'
/** As parseZone() reads it. */
export const ZONE_PATTERN =
  '^(?:Z|[+-](?:0[0-9]|1[01]):(?:00|15|30|45)|[+-]12:00|\\+(?:12:(?:15|30|45)|13:(?:00|15|30|45)|14:00))$'
const MODEL_PATTERN = '^[^\\u0000-\\u001f]{1,256}$'
export const SCOPES = ['inference', 'embeddings', 'audio', 'models', 'tokenize', 'admin']

const GUARDED = [
  'background',
  'store',
  'previous_response_id',
  'bytes_only',
  'request_id',
  'kv_transfer_params',
  'ec_transfer_params',
  'vllm_xargs',
  'use_beam_search',
  'lora',
  'lora_path',
  'rid',
  'bootstrap_host',
  'id_slot',
]

/** The largest count a limit may name: 2^53 - 1, what a double and a shared zone hold exactly. */
const COUNT_MAX = 9007199254740991
/** The largest price or cost, so that sums in nano-units stay exact (cost.ts). */
const AMOUNT_MAX = 1000000
/** Every call of the admin API looks through all of them. */
export const ADMINS_MAX = 200
/** Of one client, whose line is read as a whole. */
export const KEYS_MAX = 1000
/** Plans, groups or prices: every load reads all of them, and so does every answer that looks one up. */
export const NAMED_MAX = 5000
/** Addresses, and models, of one plan or client. */
export const LIST_MAX = 256
export const ADDRESS_CHARS_MAX = 64
const DRAFT = 'https://json-schema.org/draft/2020-12/schema'

function count(description: string): Schema {
  return { type: 'integer', minimum: 0, maximum: COUNT_MAX, description }
}

function amount(description: string): Schema {
  return { type: 'number', minimum: 0, maximum: AMOUNT_MAX, description }
}

function grantProperties(): { [name: string]: Schema } {
  return {
    scopes: {
      type: 'array',
      items: { type: 'string', enum: SCOPES },
      maxItems: 6,
      description: 'Groups of routes that may be called',
    },
    models: {
      type: 'array',
      items: { type: 'string', pattern: MODEL_PATTERN },
      maxItems: LIST_MAX,
      description: 'Model names that may be asked for; * stands for any characters',
    },
    addresses: {
      type: 'array',
      items: { type: 'string', maxLength: ADDRESS_CHARS_MAX },
      maxItems: LIST_MAX,
      description: 'Addresses that may call, as CIDR blocks or single addresses, IPv4 and IPv6',
    },
    limits: limitsSchema(),
    budgets: budgetsSchema(),
    request: {
      type: 'object',
      additionalProperties: false,
      properties: {
        maxOutputTokens: count('Completion tokens of one request'),
        maxInputTokens: count('Prompt tokens of one request, as estimated when it comes'),
        n: count('Choices of one request; 16 where nothing is said'),
        bestOf: count('Candidates of one completion; 16 where nothing is said'),
        topLogprobs: count('Alternatives told per token; 20 where nothing is said'),
        promptLogprobs: count('Alternatives told per prompt token; 5 where nothing is said'),
        inputs: count('Prompts, inputs or documents of one request; 2048 where nothing is said'),
        excess: {
          type: 'string',
          enum: ['clamp', 'refuse'],
          description: 'What becomes of a number above its ceiling: clamp, unless refuse is said',
        },
        allow: {
          type: 'array',
          items: { type: 'string', enum: GUARDED },
          maxItems: GUARDED.length,
          description: 'Parameters that are refused unless they stand here',
        },
      },
    },
    priority: { type: 'integer', minimum: -1000000, maximum: 1000000 },
    cacheSalt: { type: 'boolean', description: 'Keep the prefix cache apart from other clients' },
    shadow: { type: 'boolean', description: 'Evaluate limits, never enforce them' },
    note: { type: 'string', maxLength: 1024 },
  }
}

function limitsSchema(): Schema {
  const properties: { [name: string]: Schema } = {}
  LIMITS.forEach((row) => {
    properties[row.name] = count(row.description)
  })
  return { type: 'object', additionalProperties: false, properties }
}

function budgetsSchema(): Schema {
  const properties: { [name: string]: Schema } = {}
  BUDGETS.forEach((row) => {
    properties[row.name] = row.unit === 'cost' ? amount(row.description) : count(row.description)
  })
  properties['hard'] = {
    type: 'boolean',
    description: 'Cut running streams when the budget is spent',
  }
  return { type: 'object', additionalProperties: false, properties }
}

function groupSchema(): Schema {
  return {
    type: 'object',
    additionalProperties: false,
    properties: {
      limits: limitsSchema(),
      budgets: budgetsSchema(),
      note: { type: 'string', maxLength: 1024 },
    },
  }
}

function priceSchema(): Schema {
  return {
    type: 'object',
    additionalProperties: false,
    required: ['input', 'output'],
    properties: {
      input: amount('A million prompt tokens'),
      cachedInput: amount('A million prompt tokens from the prefix cache; as input when left out'),
      output: amount('A million completion tokens'),
      audioSecond: amount('A second of audio'),
    },
  }
}

function keySchema(): Schema {
  return {
    type: 'object',
    additionalProperties: false,
    required: ['id', 'sha256', 'created'],
    properties: {
      id: { type: 'string', pattern: KEY_ID_PATTERN, description: 'Public id' },
      sha256: { type: 'string', pattern: HASH_PATTERN, description: 'SHA-256 of the key' },
      created: { type: 'string', format: 'date-time' },
      expires: { type: ['string', 'null'], format: 'date-time' },
      revoked: { type: ['string', 'null'], format: 'date-time' },
      limits: limitsSchema(),
      budgets: budgetsSchema(),
      note: { type: 'string', maxLength: 1024 },
    },
  }
}

function adminSchema(): Schema {
  return {
    type: 'object',
    additionalProperties: false,
    required: ['id', 'name', 'role', 'sha256', 'created'],
    properties: {
      id: { type: 'string', pattern: KEY_ID_PATTERN, description: 'Public id' },
      name: { type: 'string', pattern: NAME_PATTERN, description: 'Whose token it is' },
      role: { type: 'string', enum: ['read', 'write'] },
      sha256: { type: 'string', pattern: HASH_PATTERN, description: 'SHA-256 of the token' },
      created: { type: 'string', format: 'date-time' },
      expires: { type: ['string', 'null'], format: 'date-time' },
      revoked: { type: ['string', 'null'], format: 'date-time' },
      note: { type: 'string', maxLength: 1024 },
    },
  }
}

/** The schema of one client in clients.json. */
export function clientSchema(): Schema {
  const properties = grantProperties()
  properties['plan'] = {
    type: 'string',
    pattern: NAME_PATTERN,
    description: 'A plan of policy.json',
  }
  properties['group'] = { type: 'string', pattern: NAME_PATTERN }
  properties['disabled'] = { type: 'boolean', description: 'Refuse all keys of this client' }
  properties['keys'] = { type: 'array', items: keySchema(), maxItems: KEYS_MAX }
  return { type: 'object', additionalProperties: false, required: ['keys'], properties }
}

/** The schema of clients.json. */
export function clientsSchema(): Schema {
  return {
    $schema: DRAFT,
    title: 'Tollgate clients',
    type: 'object',
    additionalProperties: false,
    required: ['version', 'clients'],
    properties: {
      $schema: { type: 'string', maxLength: 1024 },
      version: { const: 1 },
      clients: {
        type: 'object',
        propertyNames: { pattern: NAME_PATTERN },
        additionalProperties: clientSchema(),
      },
    },
  }
}

/** The schema of policy.json. */
export function policySchema(): Schema {
  const routes: { [name: string]: Schema } = {}
  listRoutes().forEach((route) => {
    const ways = isPublicAllowed(route) ? ['off', 'key', 'public'] : ['off', 'key']
    routes[route.name] = { type: 'string', enum: ways }
  })
  return {
    $schema: DRAFT,
    title: 'Tollgate policy',
    type: 'object',
    additionalProperties: false,
    required: ['version'],
    properties: {
      $schema: { type: 'string', maxLength: 1024 },
      version: { const: 1 },
      url: {
        type: 'string',
        pattern: URL_PATTERN,
        maxLength: 256,
        description: 'Where callers reach the gate, without /v1: stands in the examples for them',
      },
      timeZone: {
        type: 'string',
        pattern: ZONE_PATTERN,
        default: 'Z',
        description:
          'Where days and months of budgets and usage begin: +08:00, a fixed offset from UTC; Z is UTC',
      },
      plans: {
        type: 'object',
        propertyNames: { pattern: NAME_PATTERN },
        maxProperties: NAMED_MAX,
        additionalProperties: {
          type: 'object',
          additionalProperties: false,
          properties: grantProperties(),
        },
      },
      groups: {
        type: 'object',
        propertyNames: { pattern: NAME_PATTERN },
        maxProperties: NAMED_MAX,
        additionalProperties: groupSchema(),
        description: 'Limits and budgets that all clients of a group share',
      },
      metering: {
        type: 'string',
        enum: ['exact', 'final', 'unasked', 'off'],
        description:
          'What is asked of the server for streams: running and final counts, the final ones, nothing. With off no ' +
          'answer is read either, but for limits of tokens and cost',
      },
      prices: {
        type: 'object',
        propertyNames: { pattern: MODEL_PATTERN },
        maxProperties: NAMED_MAX,
        additionalProperties: priceSchema(),
        description: 'By the name of a model, or a pattern such as llama-*',
      },
      defaultModel: { type: 'string', pattern: MODEL_PATTERN },
      defaultOutputTokens: {
        type: 'integer',
        minimum: 1,
        maximum: 1000000,
        default: 1024,
        description: 'Reserved where a request names no maximum',
      },
      maxInFlight: {
        type: 'integer',
        minimum: 1,
        maximum: 1000000,
        description: 'Requests in flight of all clients; beyond it those above their share wait',
      },
      cacheSaltSecret: {
        type: 'string',
        pattern: '^.{16,256}$',
        description: 'Any random text; the cache salts of the clients are made with it',
      },
      admins: {
        type: 'array',
        items: adminSchema(),
        maxItems: ADMINS_MAX,
        description: 'Tokens of the admin API: tollgate admin token create, list, revoke',
      },
      routes: {
        type: 'object',
        additionalProperties: false,
        properties: routes,
        description: 'off, key, or public (without a key), by the name of the route',
      },
      lockout: {
        type: 'object',
        additionalProperties: false,
        properties: {
          badKeysPerMinute: { type: 'integer', minimum: 1, maximum: 1000000, default: 20 },
          seconds: { type: 'integer', minimum: 1, maximum: 86400, default: 300 },
        },
      },
    },
  }
}
