import type { ImportedKey, ImportMode } from '../config/imports.ts'
import { finishRun, interpret, isObject, type Run, startRun } from '../config/interpret.ts'
import { HASH_PATTERN, KEY_ID_PATTERN, NAME_PATTERN, type Schema } from '../config/schema.ts'
import type { Problem } from '../config/shapes.ts'

/** A body of 1 MB has 8,886 at most when they are right. */
const IMPORT_KEYS_MAX = 10000

/** What POST /import is to do. */
export type ImportBody = ImportMode & {
  keys: ImportedKey[]
  plan: string | undefined
  note: string
}

/** A body that is being read: readKeys() goes on in slices, since it may hold some thousand keys. */
export type ImportReading = {
  run: Run
  body: { [name: string]: unknown }
  /** Keys as they were sent. */
  given: unknown[]
  keys: ImportedKey[]
  schema: Schema
}

/** Begins to read a body, with all but its keys. */
export function startReading(body: unknown): ImportReading {
  const run = startRun()
  interpret(run, frameSchema(), body === undefined ? {} : body)
  const fields = isObject(body) ? body : {}
  const keys = Array.isArray(fields['keys']) ? fields['keys'] : []
  // More than that are reported as such, and nobody looks at them.
  const given = keys.length <= IMPORT_KEYS_MAX ? keys : []
  return { run, body: fields, given, keys: [], schema: keySchema() }
}

/** Reads the next keys, so many. */
export function readKeys(reading: ImportReading, count: number): void {
  const from = reading.keys.length
  const to = Math.min(reading.given.length, from + count)
  for (let i = from; i < to; i++) {
    const key = reading.given[i]
    reading.run.place = ['keys', i]
    interpret(reading.run, reading.schema, key)
    reading.keys.push(keyOf(isObject(key) ? key : {}))
  }
  reading.run.place = []
}

/** The body, or all that is wrong with it. */
export function endReading(reading: ImportReading): ImportBody | Problem[] {
  finishRun(reading.run)
  if (reading.run.problems.length > 0) return reading.run.problems
  const body = reading.body
  return {
    keys: reading.keys,
    plan: body['plan'] as string | undefined,
    note: (body['note'] as string | undefined) || '',
    isPartial: body['partial'] === true,
    isDry: body['dryRun'] === true,
  }
}

/** Right once the schema has found nothing wrong with it. */
function keyOf(key: { [name: string]: unknown }): ImportedKey {
  return {
    line: key['line'] as number,
    identity: key['client'] as string,
    id: key['id'] as string,
    sha256: key['sha256'] as string,
  }
}

function frameSchema(): Schema {
  return {
    type: 'object',
    additionalProperties: false,
    required: ['keys'],
    properties: {
      keys: { type: 'array', maxItems: IMPORT_KEYS_MAX },
      plan: { type: 'string', pattern: NAME_PATTERN },
      note: { type: 'string', maxLength: 1024 },
      partial: { type: 'boolean' },
      dryRun: { type: 'boolean' },
    },
  }
}

function keySchema(): Schema {
  return {
    type: 'object',
    additionalProperties: false,
    required: ['line', 'client', 'id', 'sha256'],
    properties: {
      line: { type: 'integer', minimum: 1 },
      client: { type: 'string', pattern: NAME_PATTERN },
      id: { type: 'string', pattern: KEY_ID_PATTERN },
      sha256: { type: 'string', pattern: HASH_PATTERN },
    },
  }
}
