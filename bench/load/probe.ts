import { connect } from 'node:net'
import { until } from '../../test/waiting.ts'

/** Asks all the time, and knows the longest wait for an answer. */
export type Probe = { stop(): Promise<number> }

/** Requests that begin at this pace, whether or not those before them have their answers. */
const EVERY_MS = 5
const CONNECTIONS = 8
const END_MS = 3000

/** Starts small requests over a few connections; one that waits stands for all that came meanwhile. */
export function startProbe(port: number, key: string): Probe {
  const slots = Array.from({ length: CONNECTIONS }, () => openConnection(port, requestOf(key)))
  let next = 0
  const timer = setInterval(() => {
    slots[next++ % slots.length]?.ask()
  }, EVERY_MS)
  return {
    async stop() {
      clearInterval(timer)
      const isQuiet = () => !slots.some(({ isWaiting }) => isWaiting())
      await until('answers', isQuiet, END_MS / 1000, EVERY_MS).catch(() => undefined)
      for (const slot of slots) slot.close()
      return Math.max(...slots.map(({ maxMs }) => maxMs()))
    },
  }
}

function openConnection(port: number, request: string) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let askedMs = 0
  let longestMs = 0
  socket.on('data', () => {
    longestMs = Math.max(longestMs, performance.now() - askedMs)
    askedMs = 0
  })
  socket.on('error', () => {
    longestMs = Number.POSITIVE_INFINITY
  })
  return {
    ask() {
      if (askedMs > 0) return
      askedMs = performance.now()
      socket.write(request)
    },
    isWaiting: () => askedMs > 0,
    maxMs: () => Math.max(longestMs, askedMs > 0 ? performance.now() - askedMs : 0),
    close: () => void socket.destroy(),
  }
}

function requestOf(key: string): string {
  const body = '{"model":"bench-8b","messages":[]}'
  return (
    `POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ${key}\r\n` +
    `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  )
}
