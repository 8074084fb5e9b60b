import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const WORDS = 'The gate reads what a caller sends, and passes it on as it came. '

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
