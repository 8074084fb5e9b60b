import crypto from 'crypto'

/** 160 bits of the hash are plenty: nobody gains from two that are the same. */
const TAG_LENGTH = 27

/** SHA-256 in hexadecimal. */
export function sha256Hex(text: string | Buffer): string {
  return crypto.createHash('sha256').update(text).digest('hex')
}

/** The ETag of a value as it stands in its file. */
export function etagOf(value: unknown): string {
  const hash = crypto.createHash('sha256').update(JSON.stringify(value)).digest('base64url')
  return `"${hash.slice(0, TAG_LENGTH)}"`
}
