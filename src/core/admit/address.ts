/**
 * Addresses and CIDR blocks, IPv4 and IPv6, as arrays of byte values. An IPv4-mapped IPv6 address
 * (::ffff:10.0.0.1) is the IPv4 address it stands for, so that one allow-list serves a listener
 * that accepts both.
 */
export type Block = { bytes: number[]; bits: number }

/** Parses `10.0.0.0/8`, `2001:db8::/32` or a single address; null when it is neither. */
export function parseBlock(text: string): Block | null {
  const slash = text.indexOf('/')
  const parsed = parseBytes(slash < 0 ? text : text.slice(0, slash))
  if (!parsed) return null
  const bitsMax = parsed.length * 8
  let bits = bitsMax
  if (slash >= 0) {
    const length = text.slice(slash + 1)
    if (!isDecimal(length, 3)) return null
    bits = Number(length)
    if (bits > bitsMax) return null
  }
  const mapped = bits >= 96 || slash < 0 ? unmap(parsed) : null
  return mapped ? { bytes: mapped, bits: bits - 96 } : { bytes: parsed, bits }
}

/** Whether an address as nginx prints it stands in one of the blocks. A UNIX socket stands in none. */
export function isInside(address: string, blocks: string[]): boolean {
  const parsed = parseBytes(address)
  if (!parsed) return false
  const bytes = unmap(parsed) || parsed
  for (let i = 0; i < blocks.length; i++) {
    const block = parseBlock(blocks[i] || '')
    if (block && startsWithBits(bytes, block)) return true
  }
  return false
}

/**
 * The address that is counted when keys are guessed: IPv4 whole, IPv6 by its /64, since a single
 * subscriber owns all of that. What is no address (`unix:`) counts as one.
 */
export function guesserOf(address: string): string {
  const parsed = parseBytes(address)
  if (!parsed) return address
  return (unmap(parsed) || parsed).slice(0, 8).join('.')
}

function startsWithBits(bytes: number[], block: Block): boolean {
  if (bytes.length !== block.bytes.length) return false
  for (let i = 0, left = block.bits; left > 0; i++, left -= 8) {
    const shift = left >= 8 ? 0 : 8 - left
    if ((bytes[i] || 0) >> shift !== (block.bytes[i] || 0) >> shift) return false
  }
  return true
}

/** The four bytes of an IPv4-mapped address, else null. */
function unmap(bytes: number[]): number[] | null {
  if (bytes.length !== 16 || bytes[10] !== 255 || bytes[11] !== 255) return null
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return null
  return bytes.slice(12)
}

function parseBytes(text: string): number[] | null {
  return text.indexOf(':') < 0 ? parseIPv4(text) : parseIPv6(text)
}

function parseIPv4(text: string): number[] | null {
  const parts = text.split('.')
  if (parts.length !== 4) return null
  const bytes: number[] = []
  for (let i = 0; i < 4; i++) {
    const part = parts[i] || ''
    // 010 is octal to some readers and decimal to others: refused.
    if (!isDecimal(part, 3) || (part.length > 1 && part[0] === '0')) return null
    if (Number(part) > 255) return null
    bytes.push(Number(part))
  }
  return bytes
}

function parseIPv6(text: string): number[] | null {
  const halves = text.split('::')
  if (halves.length > 2) return null
  const head = parseGroups(halves[0] || '', halves.length === 1)
  const tail = halves.length === 2 ? parseGroups(halves[1] || '', true) : []
  if (!head || !tail) return null
  const missing = 16 - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 2) return null
  const bytes = head
  for (let i = 0; i < missing; i++) bytes.push(0)
  return bytes.concat(tail)
}

/** The bytes of groups between colons; the last one may be a dotted IPv4 address. */
function parseGroups(text: string, isLast: boolean): number[] | null {
  if (text === '') return []
  const groups = text.split(':')
  let bytes: number[] = []
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i] || ''
    if (isLast && i === groups.length - 1 && group.indexOf('.') > 0) {
      const dotted = parseIPv4(group)
      if (!dotted) return null
      bytes = bytes.concat(dotted)
    } else {
      if (!isHexGroup(group)) return null
      const value = parseInt(group, 16)
      bytes.push(value >> 8, value & 255)
    }
  }
  return bytes.length > 16 ? null : bytes
}

function isDecimal(text: string, lengthMax: number): boolean {
  if (text.length < 1 || text.length > lengthMax) return false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 48 || code > 57) return false
  }
  return true
}

function isHexGroup(text: string): boolean {
  if (text.length < 1 || text.length > 4) return false
  for (let i = 0; i < text.length; i++) {
    if ('0123456789abcdefABCDEF'.indexOf(text.charAt(i)) < 0) return false
  }
  return true
}
