// The client of requests where wrk cannot be had: so many connections, each asking again as soon as
// it has its answer. It prints one JSON object.
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { nowUs } from '../clock.ts'
import { quantile } from '../stats.ts'
import { formatRequest, type RequestLoad, type RequestResult } from './load.ts'

const load = JSON.parse(process.argv[2] ?? '{}') as RequestLoad
const keys = readFileSync(load.keysFile, 'utf8').split('\n').filter(Boolean)
const body = readFileSync(load.bodyFile)
const requests = keys.map((key) => formatRequest(load, key, body))
const startUs = nowUs()
const endUs = startUs + load.seconds * 1e6
/** As wrk does, see wrk.ts. */
const ANSWER_SECONDS_MAX = 30
const latencies: number[] = []
/** A prime, so that all keys come in an order that caches do not like. */
const STRIDE = 7919
let position = 0
let errors = 0
let open = load.connections

function nextRequest(): Buffer {
  position = (position + STRIDE) % requests.length
  return requests[position] ?? Buffer.alloc(0)
}

function run(): void {
  const socket = connect({ port: load.port, host: '127.0.0.1', noDelay: true })
  let askedUs = 0
  let left = -1
  let isOver = false
  const ask = () => {
    askedUs = nowUs()
    socket.write(nextRequest())
  }
  const end = () => {
    if (isOver) return
    isOver = true
    socket.destroy()
    open -= 1
    if (open === 0) print()
  }
  socket.on('connect', ask)
  socket.on('error', () => {
    errors += 1
    end()
  })
  // After `keepalive_requests`, nginx closes.
  socket.on('end', () => {
    if (isOver || nowUs() >= endUs) return end()
    isOver = true
    socket.destroy()
    run()
  })
  socket.on('data', (data: Buffer) => {
    left = left < 0 ? bytesLeft(data) : left - data.length
    if (left > 0) return
    left = -1
    const now = nowUs()
    latencies.push(now - askedUs)
    if (now < endUs) ask()
    else end()
  })
}

/** What of an answer is still to come after its first piece, which holds the whole head. */
function bytesLeft(data: Buffer): number {
  const head = data.indexOf('\r\n\r\n')
  const text = data.toString('latin1', 0, head)
  if (!text.startsWith('HTTP/1.1 200')) errors += 1
  const length = /\ncontent-length: *(\d+)/i.exec(text)?.[1]
  // Chunked answers of this size come in one piece.
  return length === undefined ? 0 : head + 4 + Number(length) - data.length
}

function print(): void {
  const sorted = Float64Array.from(latencies).sort()
  const result: RequestResult = {
    requests: latencies.length,
    errors,
    seconds: (nowUs() - startUs) / 1e6,
    p50Ms: quantile(sorted, 0.5) / 1000,
    p99Ms: quantile(sorted, 0.99) / 1000,
  }
  console.log(JSON.stringify(result))
  process.exit(0)
}

/** Who has no answer by then gets none. */
setTimeout(
  () => {
    errors += open
    print()
  },
  (load.seconds + ANSWER_SECONDS_MAX) * 1000,
)
for (let index = 0; index < load.connections; index++) run()
