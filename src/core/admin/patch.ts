import { hasOwn, isObject } from '../config/interpret.ts'
import { setNamed, withoutNamed } from '../config/replace.ts'

/**
 * A JSON Merge Patch (RFC 7396) as a value: null takes a field away, an object goes on inside, all else
 * replaces. Neither document is changed. `__proto__` cannot be in a body, see json.ts.
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const merged = withoutNamed(isObject(target) ? target : {}, '')
  Object.keys(patch).forEach((name) => {
    const value = patch[name]
    const before = hasOwn(merged, name) ? merged[name] : undefined
    if (value === null) delete merged[name]
    else setNamed(merged, name, mergePatch(before, value))
  })
  return merged
}
