import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const WORDS = 'The gate reads what a caller sends, and passes it on as it came. '

/** An agent's request of 12 KB as their frameworks send it: instructions, six tools, and four turns that called one. */
export function agentBody(): string {
  const text = (bytes: number) => WORDS.repeat(Math.ceil(bytes / WORDS.length)).slice(0, bytes)
  const parameter = (index: number) =>
    index % 3 === 2
      ? { type: 'array', items: { type: 'string' }, description: text(40) }
      : { type: index % 2 ? 'string' : 'integer', description: text(60) }
  const tool = (_: unknown, index: number) => ({
    type: 'function',
    function: {
      name: `tool_${index}`,
      description: text(200),
      parameters: {
        type: 'object',
        properties: Object.fromEntries(
          Array.from({ length: 5 }, (_, at) => [`a${at}`, parameter(at)]),
        ),
        required: ['a0', 'a1'],
        additionalProperties: false,
      },
    },
  })
  const turn = (_: unknown, index: number) => [
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        {
          id: `call_${index}`,
          type: 'function',
          function: { name: 'tool_1', arguments: JSON.stringify({ a0: index, a1: text(80) }) },
        },
      ],
    },
    { role: 'tool', tool_call_id: `call_${index}`, content: `${text(600)}\n` },
  ]
  return JSON.stringify({
    model: 'bench-8b',
    messages: [
      { role: 'system', content: `${text(3000)}\n` },
      { role: 'user', content: [{ type: 'text', text: text(300) }] },
      ...Array.from({ length: 4 }, turn).flat(),
    ],
    tools: Array.from({ length: 6 }, tool),
    max_tokens: 1000,
    temperature: 0.2,
  })
}

/** Writes a chat of about so many bytes, one message of 4 KB after the other, as callers send them. */
export async function writeBody(folder: string, bytes: number): Promise<string> {
  const file = join(folder, `body-${bytes}.json`)
  const messages: string[] = []
  for (let written = 0; written < bytes - 100; ) {
    const content = WORDS.repeat(64).slice(0, Math.min(4000, Math.max(40, bytes - written - 150)))
    const role = messages.length % 2 === 0 ? 'user' : 'assistant'
    const message = JSON.stringify({ role, content })
    messages.push(message)
    written += message.length + 1
  }
  const rest = '"max_tokens":64,"temperature":0.7,"stream":false'
  await writeFile(file, `{"model":"bench-8b","messages":[${messages.join(',')}],${rest}}`)
  return file
}
