import type { Socket } from 'node:net'
import type { Clock } from '../../src/mock/clock.ts'
import { answerWhole } from './answer.ts'
import { startStream } from './stream.ts'

/** Longer bodies are counted and not kept: they ask for no stream here. */
const KEPT_BYTES_MAX = 65_536
const HEAD_END = Buffer.from('\r\n\r\n')

const LIST = '{"object":"list","data":[{"id":"bench-8b","object":"model","owned_by":"vllm"}]}'
const MODELS = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${LIST.length}\r\n\r\n${LIST}`

/** Where in a request a connection is. */
type State = {
  /** The beginning of a head, or the kept body. */
  kept: Buffer | null
  /** Bytes of the body that are still to come; -1 while the head is incomplete. */
  bodyLeft: number
  isKept: boolean
  /** It asks for the list of models, as some peers do before they pass anything on. */
  isList: boolean
}

/** Answers the requests of one connection, one after the other. */
export function serve(socket: Socket, clock: Clock): void {
  const state: State = { kept: null, bodyLeft: -1, isKept: true, isList: false }
  socket.on('error', () => socket.destroy())
  socket.on('data', (data: Buffer) => {
    const rest = state.bodyLeft < 0 ? readHead(state, data) : data
    if (rest === null) return
    readBody(state, rest)
    if (state.bodyLeft > 0) return
    const body = state.isKept && state.kept !== null ? state.kept.toString('latin1') : ''
    state.kept = null
    state.bodyLeft = -1
    if (state.isList) socket.write(MODELS)
    else if (body.includes('"stream":true')) startStream(socket, body, clock)
    else answerWhole(socket)
  })
}

/** What follows the head; null when it is not complete. */
function readHead(state: State, data: Buffer): Buffer | null {
  const bytes = state.kept === null ? data : Buffer.concat([state.kept, data])
  const end = bytes.indexOf(HEAD_END)
  if (end < 0) {
    state.kept = bytes
    return null
  }
  const length = /\ncontent-length: *(\d+)/i.exec(bytes.toString('latin1', 0, end))
  state.kept = null
  state.isList = bytes[0] === 71
  state.bodyLeft = length === null ? 0 : Number(length[1])
  state.isKept = state.bodyLeft <= KEPT_BYTES_MAX
  return bytes.subarray(end + HEAD_END.length)
}

function readBody(state: State, data: Buffer): void {
  state.bodyLeft -= data.length
  if (!state.isKept) return
  state.kept = state.kept === null ? data : Buffer.concat([state.kept, data])
}
