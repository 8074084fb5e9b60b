import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { integersOf } from '../random.ts'
import type { Gate } from './harness.ts'

/** An answer as it stood on the wire. Header names are in lower case, repeated ones joined by ", ". */
export type RawAnswer = {
  status: number
  headers: Record<string, string>
  body: string
}

/** The text of a request. Nothing is encoded or checked: what is given here goes out. */
export function message(method: string, target: string, lines: string[] = [], body = ''): string {
  const head = [`${method} ${target} HTTP/1.1`, 'Host: gate', ...lines]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

/** Texts of up to twenty bytes, any but those that end a line. */
export function noiseOf(seed: number): () => string {
  const random = integersOf(seed)
  return () => {
    const codes = Array.from({ length: 1 + random(20) }, () => 1 + random(255))
    return String.fromCharCode(...codes).replace(/[\r\n]/g, '"')
  }
}

/** Sends bytes (a string as latin1) over a connection of their own and reads until nginx closes it. */
export async function exchange(
  gate: Pick<Gate, 'port'>,
  bytes: string | Buffer,
  host = '127.0.0.1',
): Promise<string> {
  const socket = await open(gate.port, host)
  const pieces: Buffer[] = []
  socket.on('data', (piece) => pieces.push(piece))
  // nginx may answer, and close, before it has read all.
  socket.on('error', () => {})
  const closed = once(socket, 'close')
  const timer = setTimeout(() => socket.destroy(), 5000)
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  await closed
  clearTimeout(timer)
  return Buffer.concat(pieces).toString('latin1')
}

/** Sends one request with `Connection: close` and gives its answer. */
export async function ask(
  gate: Pick<Gate, 'port'>,
  method: string,
  target: string,
  lines: string[] = [],
  body = '',
): Promise<RawAnswer> {
  const text = message(method, target, ['Connection: close', ...lines], body)
  return firstAnswer(await exchange(gate, text))
}

/** Sends bytes and takes the answer as soon as it is whole, also when nginx goes on reading. */
export async function firstOf(gate: Pick<Gate, 'port'>, text: string): Promise<RawAnswer> {
  const socket = await open(gate.port)
  socket.on('error', () => {})
  socket.write(Buffer.from(text, 'latin1'))
  let got = ''
  for await (const piece of socket) {
    got += piece.toString('latin1')
    if (!got.includes('\r\n\r\n')) continue
    const { headers, body } = firstAnswer(got)
    if (body.length === Number(headers['content-length'])) break
  }
  socket.destroy()
  return firstAnswer(got)
}

export async function open(port: number, host = '127.0.0.1'): Promise<Socket> {
  const socket = connect(port, host)
  socket.setNoDelay(true)
  await once(socket, 'connect')
  return socket
}

export function firstAnswer(text: string): RawAnswer {
  const [answer] = parseAnswers(text)
  if (!answer) throw new Error(`There is no answer in ${JSON.stringify(text.slice(0, 200))}`)
  return answer
}

/** Cuts what came over one connection into answers, whose bodies may be counted, chunked or open. */
export function parseAnswers(text: string): RawAnswer[] {
  const answers: RawAnswer[] = []
  let rest = text
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) throw new Error(`The head of an answer is cut: ${JSON.stringify(rest)}`)
    const [first = '', ...lines] = rest.slice(0, end).split('\r\n')
    const headers = readHeaders(lines)
    const status = Number(first.split(' ')[1])
    const { body, left } = cutBody(rest.slice(end + 4), headers)
    answers.push({ status, headers, body })
    rest = left
  }
  return answers
}

function readHeaders(lines: string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const [, name = '', value = ''] = /^([^:]+):\s*(.*)$/.exec(line) ?? []
    const known = headers[name.toLowerCase()]
    headers[name.toLowerCase()] = known === undefined ? value : `${known}, ${value}`
  }
  return headers
}

function cutBody(text: string, headers: Record<string, string>): { body: string; left: string } {
  const length = headers['content-length']
  if (length !== undefined) {
    return { body: text.slice(0, Number(length)), left: text.slice(Number(length)) }
  }
  if (headers['transfer-encoding'] !== 'chunked') return { body: text, left: '' }
  let body = ''
  let left = text
  for (;;) {
    const end = left.indexOf('\r\n')
    const size = Number.parseInt(left.slice(0, end), 16)
    body += left.slice(end + 2, end + 2 + size)
    left = left.slice(end + 2 + size + 2)
    if (!(size > 0)) return { body, left }
  }
}
