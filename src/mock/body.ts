import type { IncomingMessage } from 'node:http'

/** Reads a whole body; undefined when the caller left before its end. */
export async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const pieces: Buffer[] = []
  try {
    for await (const piece of request) pieces.push(piece as Buffer)
    return Buffer.concat(pieces)
  } catch {
    return undefined
  }
}
