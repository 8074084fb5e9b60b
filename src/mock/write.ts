import type { ServerResponse } from 'node:http'
import type { Settings } from './settings.ts'

/**
 * Writes events of a response whose head has been flushed, each as one HTTP chunk.
 * One string in one write: half the time of response.write, which sends length, text and line end as three.
 */
export function createWriter(response: ServerResponse, isAscii: boolean): (text: string) => void {
  const socket = response.socket
  // A pipelined request has no socket yet, and HTTP/1.0 no chunks.
  if (socket === null || !response.chunkedEncoding) return (text) => void response.write(text)
  if (isAscii) {
    return (text) => {
      socket.write(`${text.length.toString(16)}\r\n${text}\r\n`, 'latin1')
    }
  }
  return (text) => {
    socket.write(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`, 'utf8')
  }
}

/** Writes bytes in pieces that the receiver gets one by one: a pause keeps the kernel from joining them. */
export async function sendPieces(
  write: (piece: Buffer) => void,
  bytes: Buffer,
  settings: Settings,
  isClosed: () => boolean,
): Promise<void> {
  const size = settings.splitBytes > 0 ? settings.splitBytes : bytes.length
  for (let from = 0; from < bytes.length; from += size) {
    if (isClosed()) return
    write(bytes.subarray(from, from + size))
    await new Promise<void>((resolve) => {
      if (settings.gapMs > 0) setTimeout(resolve, settings.gapMs)
      else setImmediate(resolve)
    })
  }
}
