import { hasOwn } from './interpret.ts'

/** A copy of an object with some of its fields replaced. What is in the fields is shared. */
export function replace<T extends object, U extends object>(source: T, fields: U): T & U {
  return Object.assign(Object.assign({}, source), fields)
}

/**
 * The same for an object whose fields are names that people give, with one of them set. The njs engine
 * drops what is assigned to `constructor`, as somebody's client may be called.
 */
export function withNamed<T>(
  source: { [name: string]: T } | undefined,
  name: string,
  value: T,
): { [name: string]: T } {
  const copy = withoutNamed(source, '')
  setNamed(copy, name, value)
  return copy
}

/** The same without one of them. */
export function withoutNamed<T>(
  source: { [name: string]: T } | undefined,
  name: string,
): { [name: string]: T } {
  const copy: { [name: string]: T } = Object.assign({}, source)
  if (source && hasOwn(source, FRAGILE)) setNamed(copy, FRAGILE, source[FRAGILE] as T)
  delete copy[name]
  return copy
}

/** Sets a field, whatever its name is. */
export function setNamed<T>(target: { [name: string]: T }, name: string, value: T): void {
  if (name !== FRAGILE) target[name] = value
  else {
    const field = { value, enumerable: true, writable: true, configurable: true }
    Object.defineProperty(target, name, field)
  }
}

const FRAGILE = 'constructor'
