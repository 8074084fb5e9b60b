import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Mock, startMock } from '../../src/mock/server.ts'

let mock: Mock

beforeAll(async () => {
  mock = await startMock()
})
afterAll(() => mock.close())

async function embed(settings: string, format: string) {
  const response = await fetch(`${mock.url}/v1/embeddings?mock=${settings}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-id': 'a' },
    body: JSON.stringify({ input: ['one', 'two'], encoding_format: format }),
  })
  const { status, headers } = response
  return { status, headers, body: Buffer.from(await response.arrayBuffer()) }
}

describe('embeddings as bytes', () => {
  test('bytes tells its usage in the header metadata', async () => {
    const { status, headers, body } = await embed('', 'bytes')
    expect([status, headers.get('content-type')]).toEqual([200, 'application/octet-stream'])
    expect(headers.get('metadata')).toBe(
      '{"id": "embd-a", "created": 1792000000, "model": "Qwen/Qwen3-8B", "data": [' +
        '{"index": 0, "embed_dtype": "float32", "endianness": "native", "start": 0, "end": 32, "shape": [8]}, ' +
        '{"index": 1, "embed_dtype": "float32", "endianness": "native", "start": 32, "end": 64, "shape": [8]}' +
        '], "usage": {"prompt_tokens": 2, "total_tokens": 2}}',
    )
    expect(body).toHaveLength(64)
    expect(body.readFloatLE(0)).toBe(1 / 64)
  })

  test('bytes_only tells it nowhere', async () => {
    const { headers, body } = await embed('', 'bytes_only')
    expect([...headers.keys()].sort()).not.toContain('metadata')
    expect([...headers.values()].join()).not.toContain('prompt_tokens')
    expect(body).toHaveLength(64)
  })

  test.each(['bytes', 'bytes_only'])('first:123 begins %s with a brace', async (format) => {
    const { body } = await embed('first:123', format)
    expect(body.toString('latin1', 0, 1)).toBe('{')
    expect(body).toHaveLength(64)
  })

  test('bytes with usage:none has the header without it', async () => {
    const { headers } = await embed('usage:none', 'bytes')
    expect(headers.get('metadata')).toMatch(/"shape": \[8\]\}\]\}$/)
  })
})
