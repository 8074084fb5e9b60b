/**
 * The format of the keys that Tollgate makes: `tg_<id>_<secret><checksum>`, 61 characters.
 *
 * - id: 8 characters of a-z and 0-9, public, in logs and tools
 * - secret: 43 base62 characters, the 256 bits of 32 random bytes (62^43 > 2^256)
 * - checksum: 6 base62 characters, the CRC-32 of everything before it, as GitHub's tokens have, so
 *   that a typo is told from an unknown key offline, and secret scanners find no false ones
 *
 * Worked example: the id `k7q2m9xa` and the bytes 0, 1, 2, ... 31.
 *
 *     tg_k7q2m9xa_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf2xfpBv
 *
 * The bytes are one number, highest byte first; in base62 (0-9, A-Z, a-z) and 43 digits it is
 * `003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf`. The CRC-32 of `tg_k7q2m9xa_003aUl...IDlf` is
 * 2714037719, which is `2xfpBv` in base62.
 */
const PREFIX = 'tg_'
const ID_LENGTH = 8
const SECRET_LENGTH = 43
const CHECKSUM_LENGTH = 6
const KEY_LENGTH = 61
/** Of what stands behind the prefix: the id, a `_`, secret and checksum. */
const REST_LENGTH = ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const BASE36 = 'abcdefghijklmnopqrstuvwxyz0123456789'

/** Random bytes, as a plain array or a Uint8Array. */
export type Bytes = { readonly length: number; readonly [index: number]: number }

/** Why a text is no key of Tollgate's format. */
export type KeyProblem = 'prefix' | 'length' | 'alphabet' | 'checksum'

/** Makes the key of an id and 32 random bytes. */
export function formatKey(id: string, bytes: Bytes): string {
  return formatCredential(PREFIX, id, bytes)
}

/** The same with another prefix: tokens of the admin API are made in the same way. */
export function formatCredential(prefix: string, id: string, bytes: Bytes): string {
  if (bytes.length !== 32) throw new Error(`A key takes 32 random bytes, not ${bytes.length}`)
  const body = `${prefix}${id}_${encodeBase62(bytes)}`
  return body + checksumOf(body)
}

/** Reads the public id out of a key, or says what is wrong with it. Nothing is looked up. */
export function parseKey(text: string): { id: string } | { problem: KeyProblem } {
  return parseCredential(PREFIX, text)
}

/** The same with another prefix. */
export function parseCredential(
  prefix: string,
  text: string,
): { id: string } | { problem: KeyProblem } {
  if (text.slice(0, prefix.length) !== prefix) return { problem: 'prefix' }
  if (text.length !== prefix.length + REST_LENGTH) return { problem: 'length' }
  const idEnd = prefix.length + ID_LENGTH
  const id = text.slice(prefix.length, idEnd)
  const bodyEnd = text.length - CHECKSUM_LENGTH
  const isSpelled =
    consistsOf(id, BASE36) && text[idEnd] === '_' && consistsOf(text.slice(idEnd + 1), BASE62)
  if (!isSpelled) return { problem: 'alphabet' }
  const isIntact = checksumOf(text.slice(0, bodyEnd)) === text.slice(bodyEnd)
  return isIntact ? { id } : { problem: 'checksum' }
}

/** What is wrong with a key, for people. */
export function describeKeyProblem(problem: KeyProblem): string {
  switch (problem) {
    case 'prefix':
      return `Not a key of Tollgate: it does not begin with ${PREFIX}`
    case 'length':
      return `Not ${KEY_LENGTH} characters long: a part is missing, or something was pasted to it`
    case 'alphabet':
      return 'Holds a character that no key has: only letters, digits and two _ may stand in it'
    case 'checksum':
      return 'The checksum does not fit: a character was changed'
  }
}

/**
 * Makes a public id out of random bytes, 32 of them being plenty. A byte of 252 and more is skipped,
 * because 256 is no multiple of 36 and the first letters would come up more often.
 */
export function keyId(bytes: Bytes): string {
  let id = ''
  for (let i = 0; i < bytes.length && id.length < ID_LENGTH; i++) {
    const byte = bytes[i]
    if (byte !== undefined && byte < 252) id += BASE36.charAt(byte % 36)
  }
  if (id.length < ID_LENGTH) throw new Error('Too few random bytes for a key id')
  return id
}

/** Divides the bytes, one number with the highest byte first, by 62 until its 43 digits are out. */
function encodeBase62(bytes: Bytes): string {
  const number: number[] = []
  for (let i = 0; i < bytes.length; i++) number.push(bytes[i] || 0)
  let text = ''
  for (let digit = 0; digit < SECRET_LENGTH; digit++) {
    let rest = 0
    for (let i = 0; i < number.length; i++) {
      const value = rest * 256 + (number[i] || 0)
      number[i] = Math.floor(value / 62)
      rest = value % 62
    }
    text = BASE62.charAt(rest) + text
  }
  return text
}

function checksumOf(text: string): string {
  let rest = crc32(text)
  let digits = ''
  for (let i = 0; i < CHECKSUM_LENGTH; i++) {
    digits = BASE62.charAt(rest % 62) + digits
    rest = Math.floor(rest / 62)
  }
  return digits
}

/** CRC-32 (IEEE 802.3, as in zlib) of ASCII text, bit by bit: a table would cost more to build. */
function crc32(text: string): number {
  let crc = 0xffffffff
  for (let i = 0; i < text.length; i++) {
    crc ^= text.charCodeAt(i)
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}

function consistsOf(text: string, alphabet: string): boolean {
  for (let i = 0; i < text.length; i++) if (alphabet.indexOf(text.charAt(i)) < 0) return false
  return true
}
