import { once } from 'node:events'
import { createServer } from 'node:net'

/** Polls until a condition holds; 10 s is failure where nothing else is said. */
export async function until(
  what: string,
  isDone: () => boolean | Promise<boolean>,
  seconds = 10,
  everyMs = 10,
): Promise<void> {
  const endMs = performance.now() + seconds * 1000
  while (!(await isDone())) {
    if (performance.now() > endMs) throw new Error(`Waited ${seconds} s in vain for ${what}`)
    await sleep(everyMs)
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Ports that this process has had, of which two tests that run side by side must not have the same. */
const had = new Set<number>()

/** A port on which nothing listens right now, and that nobody here was given before. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('No port was given')
  if (had.has(address.port)) return freePort()
  had.add(address.port)
  return address.port
}
