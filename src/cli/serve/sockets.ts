import { readFile } from 'node:fs/promises'

/** The state of a socket that waits for connections, in the kernel's numbers. */
const LISTENING = '0A'

/** The addresses of this machine on which a port is listened on, by the kernel's tables. */
export async function listListeners(port: number): Promise<string[]> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'utf8').catch(() => '')),
  )
  return [...new Set(tables.flatMap((table) => readTable(table, port)))]
}

/** Reads one of the tables: `  0: 0100007F:1F40 00000000:0000 0A ...`. */
export function readTable(table: string, port: number): string[] {
  const lines = table.split('\n').map((line) => line.trim().split(/\s+/))
  return lines.flatMap(([, local = '', , state]) => {
    const [address = '', hex = ''] = local.split(':')
    return state === LISTENING && Number.parseInt(hex, 16) === port ? [formatAddress(address)] : []
  })
}

// Words of four bytes, each in the byte order of a little-endian machine: 0100007F is 127.0.0.1.
function formatAddress(hex: string): string {
  const words = hex.match(/.{8}/g) ?? []
  const bytes = words.flatMap((word) =>
    (word.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16)),
  )
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.every((byte) => byte === 0)) return '::'
  if (bytes.slice(0, 15).every((byte) => byte === 0) && bytes[15] === 1) return '::1'
  const isMapped =
    bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255
  if (isMapped) return `::ffff:${bytes.slice(12).join('.')}`
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  )
  return groups.join(':')
}
