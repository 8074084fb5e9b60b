/**
 * Lets the worker serve what waits. Not with 0 ms: nginx runs timers that are due, also new ones, until
 * none is left, and only then looks at its connections.
 */
export function giveWay(): Promise<void> {
  return new Promise<void>((resolve) => {
    setTimeout(resolve, 1)
  })
}
