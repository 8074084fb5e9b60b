/**
 * What the njs engine has beyond ES5, by name. The lib of tsconfig.njs.json is narrow, so anything
 * that is not listed here (Map, Set, at, flat, Array.from, Object.fromEntries, matchAll) is a type
 * error in the code that nginx loads. Verified in reference/njs.md, section 5.
 */
interface String {
  startsWith(search: string, position?: number): boolean
  endsWith(search: string, endPosition?: number): boolean
  includes(search: string, position?: number): boolean
  padStart(length: number, fill?: string): string
  padEnd(length: number, fill?: string): string
  repeat(count: number): string
}

interface Array<T> {
  includes(element: T, fromIndex?: number): boolean
  find(predicate: (value: T, index: number) => boolean): T | undefined
  findIndex(predicate: (value: T, index: number) => boolean): number
  fill(value: T, start?: number, end?: number): this
}

interface ReadonlyArray<T> {
  includes(element: T, fromIndex?: number): boolean
  find(predicate: (value: T, index: number) => boolean): T | undefined
}

interface ObjectConstructor {
  assign<T, U>(target: T, source: U): T & U
}

interface NumberConstructor {
  isInteger(value: unknown): boolean
  isFinite(value: unknown): boolean
}

interface Math {
  trunc(value: number): number
  sign(value: number): number
}
