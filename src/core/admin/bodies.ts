import { finishRun, interpret, isObject, startRun } from '../config/interpret.ts'
import { formatPath } from '../config/path.ts'
import { clientSchema, type Schema } from '../config/schema.ts'
import type { Budgets, Limits, Problem } from '../config/shapes.ts'
import { parseTime } from '../time.ts'

/** A year: what is meant to work longer does not have to be rotated out. */
const GRACE_SECONDS_MAX = 31536000

/** What a new key may be given. `id` and `sha256` come from who has made the key by himself. */
export type KeyBody = {
  expiresMs: number | undefined
  note: string | undefined
  limits: Limits | undefined
  budgets: Budgets | undefined
  made: { id: string; sha256: string } | null
  graceSeconds: number
}

/** Reads the body of a call that makes a key. Without one, everything is at its default. */
export function readKeyBody(body: unknown, isRotation: boolean): KeyBody | Problem[] {
  const given = body === undefined ? {} : body
  const problems = check(keyBodySchema(isRotation), given)
  if (problems.length > 0 || !isObject(given)) return problems
  const id = given['id'] as string | undefined
  const sha256 = given['sha256'] as string | undefined
  if ((id === undefined) !== (sha256 === undefined)) {
    const path = id === undefined ? 'id' : 'sha256'
    return [{ path, message: 'Is missing: who makes a key by himself sends its id and its sha256' }]
  }
  const expires = given['expires'] as string | null | undefined
  return {
    expiresMs: expires ? parseTime(expires) || 0 : undefined,
    note: given['note'] as string | undefined,
    limits: given['limits'] as Limits | undefined,
    budgets: given['budgets'] as Budgets | undefined,
    made: id !== undefined && sha256 !== undefined ? { id, sha256 } : null,
    graceSeconds: (given['graceSeconds'] as number | undefined) || 0,
  }
}

/** Problems with paths as they are in the body, instead of in the whole file. */
export function relativeTo(place: string[], problems: Problem[]): Problem[] {
  const prefix = formatPath(place)
  return problems.map((problem) => ({
    path: problem.path.startsWith(prefix)
      ? problem.path.slice(prefix.length).replace(/^\./, '')
      : problem.path,
    message: problem.message,
  }))
}

function check(schema: Schema, value: unknown): Problem[] {
  const run = startRun()
  interpret(run, schema, value)
  finishRun(run)
  return run.problems
}

/** The fields of a key in the file, but for those that are made here. */
function keyBodySchema(isRotation: boolean): Schema {
  const keys = (clientSchema().properties || {})['keys']
  const of = (keys && keys.items && keys.items.properties) || {}
  const properties: { [name: string]: Schema } = {}
  const names = ['expires', 'note', 'id', 'sha256'].concat(isRotation ? [] : ['limits', 'budgets'])
  names.forEach((name) => {
    properties[name] = of[name] as Schema
  })
  if (isRotation) {
    properties['graceSeconds'] = { type: 'integer', minimum: 0, maximum: GRACE_SECONDS_MAX }
  }
  return { type: 'object', additionalProperties: false, properties }
}
