// The server behind everything that is measured: it answers chats like vLLM, and does as little as it
// can for that, so that one core carries it and the client beside a busy nginx.
import { createServer } from 'node:net'
import { createClock } from '../../src/mock/clock.ts'
import { serve } from './connection.ts'

const { port } = JSON.parse(process.argv[2] ?? '{}') as { port: number }
const clock = createClock()
const server = createServer({ noDelay: true }, (socket) => serve(socket, clock))

server.listen({ port, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(JSON.stringify({ port }))
})
process.on('SIGTERM', () => process.exit(0))
