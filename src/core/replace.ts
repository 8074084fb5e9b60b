/** A copy of an object with some of its fields replaced. What is in the fields is shared. */
export function replace<T extends object, U extends object>(source: T, fields: U): T & U {
  return Object.assign(Object.assign({}, source), fields)
}
