/** One field that differs: its path, and both values as JSON; undefined where it is not there. */
export type Change = { path: string; before: string | undefined; after: string | undefined }

/** What differs between two JSON documents, field by field. Arrays are compared as a whole. */
export function changesOf(before: unknown, after: unknown): Change[] {
  const [old, now] = [flatten(before), flatten(after)]
  const paths = [...new Set([...old.keys(), ...now.keys()])]
  return paths
    .filter((path) => old.get(path) !== now.get(path))
    .map((path) => ({ path, before: old.get(path), after: now.get(path) }))
}

function flatten(value: unknown, path = '', found = new Map<string, string>()) {
  if (isFields(value)) {
    for (const [name, inner] of Object.entries(value)) {
      flatten(inner, path === '' ? name : `${path}.${name}`, found)
    }
  } else if (value !== undefined && value !== null) found.set(path, JSON.stringify(value))
  return found
}

function isFields(value: unknown): value is { [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
