import { tryListen } from '../src/cli/serve/listen.ts'

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

/** Goes on where so much is left of a minute: at its turn, windows of limits slide, and have new counters. */
export async function stayInMinute(seconds: number): Promise<void> {
  const leftMs = 60_000 - (Date.now() % 60_000)
  if (leftMs < seconds * 1000) await sleep(leftMs + 100)
}

/**
 * Below the ports that a system gives to outgoing connections, 32768 and above: one of those could be taken while an nginx
 * that had it is started again. And above 10080, the last one to which fetch() and browsers do not go.
 */
const PORTS = { from: 10_100, count: 22_000 }
let next = Math.floor(Math.random() * PORTS.count)

/** A port on which nothing listens right now, and that this process has given to nobody for long. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS.count; tries++) {
    const port = PORTS.from + (next++ % PORTS.count)
    if ((await tryListen('127.0.0.1', port)).error === null) return port
  }
  throw new Error(`All ports from ${PORTS.from} on are taken`)
}
