/** So long one piece of work may hold the worker: as long as a body of a megabyte or two takes. */
const SLICE_MS = 8

/** When the work at hand came to its turn, ms since 1970. */
let resumedMs = 0

/** To be said where a handler begins, so that its first slice has its full length. */
export function startSlice(): void {
  resumedMs = Date.now()
}

/**
 * Lets the worker serve what waits, where the slice is over. In a worker that is busy it may take seconds until
 * it comes back, so what is small should not need it: a revocation must not wait for that several times.
 * Not with 0 ms: nginx runs timers that are due, also new ones, until none is left, and only then looks at its
 * connections.
 */
export function giveWay(): Promise<void> {
  if (Date.now() - resumedMs < SLICE_MS) return Promise.resolve()
  return new Promise<void>((resolve) => {
    setTimeout(() => {
      resumedMs = Date.now()
      resolve()
    }, 1)
  })
}
