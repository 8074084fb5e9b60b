import type { Socket } from 'node:net'

/** What vLLM answers to a small chat, with its counts. */
export const answerBody =
  '{"id":"chatcmpl-0123456789abcdef","object":"chat.completion","created":1764000000,"model":"bench-8b",' +
  '"choices":[{"index":0,"message":{"role":"assistant","content":"Sixty-four tokens are a short answer.",' +
  '"refusal":null,"tool_calls":[],"reasoning":null},"logprobs":null,"finish_reason":"stop",' +
  '"stop_reason":null,"token_ids":null}],"service_tier":null,"system_fingerprint":null,"usage":' +
  '{"prompt_tokens":15,"total_tokens":79,"completion_tokens":64,"prompt_tokens_details":null},' +
  '"prompt_logprobs":null,"prompt_token_ids":null,"kv_transfer_params":null}'

const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-length: ${answerBody.length}\r\n` +
    `content-type: application/json\r\n\r\n${answerBody}`,
)

/** A chat that is not streamed. */
export function answerWhole(socket: Socket): void {
  socket.write(answer)
}
