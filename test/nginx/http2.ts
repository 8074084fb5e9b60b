import { once } from 'node:events'
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from 'node:http2'
import type { Gate } from './harness.ts'

/** What a stream brought: a status of 0 where it was reset without one. */
export type Ended = { status: number; headers: Record<string, unknown>; body: string }

export type Stream = {
  /** The whole answer, also where nginx waits for the rest of the request. */
  answered: Promise<Ended>
  /** The end of the stream, however that comes. */
  ended: Promise<Ended>
  write(bytes: Buffer): void
  end(bytes?: Buffer): void
}

/** A connection without TLS; the gate needs `serverExtra: 'http2 on;'`. */
export async function openHttp2(gate: Pick<Gate, 'url'>): Promise<ClientHttp2Session> {
  const session = connect(gate.url)
  session.on('error', () => {})
  await once(session, 'connect')
  return session
}

/** Begins a request, whose body stays open until end(); it has neither length nor transfer coding. */
export function begin(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  endStream = false,
): Stream {
  const stream = session.request(headers, { endStream })
  const found: Ended = { status: 0, headers: {}, body: '' }
  stream.on('response', (got) => {
    found.status = Number(got[':status'])
    found.headers = got
  })
  stream.on('data', (piece) => {
    found.body += piece
  })
  stream.on('error', () => {})
  const when = (event: string) =>
    new Promise<Ended>((resolve) => {
      stream.once(event, () => resolve(found))
    })
  return {
    answered: when('end'),
    ended: when('close'),
    write: (bytes) => void (stream.writable && stream.write(bytes)),
    end: (bytes) => void (stream.writable && stream.end(bytes)),
  }
}
