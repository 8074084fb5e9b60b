/** The clock that all processes of a machine share, in microseconds. It never jumps. */
export function nowUs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e6 + nanoseconds / 1e3
}
