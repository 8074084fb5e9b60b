import { type IncomingHttpHeaders, request } from 'node:http'

/** One request, and when its caller leaves, should he not wait for the end. */
export type Ask = {
  path: string
  body: Record<string, unknown>
  /** Counted from the moment when all of it was sent. */
  leaveAfterMs?: number
  /** The client whose key is sent; left out, `app`. */
  client?: string
}

/** What the caller of it has seen. */
export type Seen = {
  ask: Ask
  status: number | null
  headers: IncomingHttpHeaders
  text: string
  end: 'whole' | 'left' | 'broken'
  /** The moment of its last byte, or of his leaving, by performance.now(). */
  endMs: number
}

/** No answer takes longer, and a server that hangs is not to hold up the rest. */
const TIMEOUT_MS = 120_000

/** Sends one request with a connection of its own. It never throws. */
export function send(port: number, key: string | null, ask: Ask): Promise<Seen> {
  const body = JSON.stringify(ask.body)
  return new Promise((resolve) => {
    let status: number | null = null
    let headers: IncomingHttpHeaders = {}
    let end: Seen['end'] = 'broken'
    const parts: Buffer[] = []
    const sent = request({
      port,
      host: '127.0.0.1',
      method: 'POST',
      path: ask.path,
      agent: false,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      },
    })
    const leave = () => {
      if (end === 'broken') end = 'left'
      sent.destroy()
    }
    let timer: NodeJS.Timeout | undefined
    // On a busy machine a caller could have left before a byte was on its way.
    sent.on('finish', () => {
      if (ask.leaveAfterMs !== undefined) timer = setTimeout(leave, ask.leaveAfterMs)
    })
    const limit = setTimeout(() => sent.destroy(), TIMEOUT_MS)
    sent.on('response', (answer) => {
      status = answer.statusCode ?? null
      headers = answer.headers
      answer.on('data', (part: Buffer) => void parts.push(part))
      answer.on('end', () => {
        if (answer.complete && end === 'broken') end = 'whole'
      })
      answer.on('error', () => undefined)
    })
    sent.on('error', () => undefined)
    sent.on('close', () => {
      clearTimeout(timer)
      clearTimeout(limit)
      const text = Buffer.concat(parts).toString()
      resolve({ ask, status, headers, text, end, endMs: performance.now() })
    })
    sent.end(body)
  })
}

/** Sends them in their order, so many at a time. */
export async function sendAll<Item>(
  asks: readonly Item[],
  atOnce: number,
  sendOne: (ask: Item) => Promise<Seen>,
): Promise<Seen[]> {
  const seen: Seen[] = []
  let next = 0
  const work = async () => {
    for (let ask = asks[next++]; ask !== undefined; ask = asks[next++])
      seen.push(await sendOne(ask))
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return seen
}
