import type { Clients } from '../core/shapes.ts'

/**
 * The text of clients.json: one client in a line, so that it can be searched, compared and read by
 * people, and 100,000 of them are still parsed fast.
 */
export function formatClients(document: Clients): string {
  const lines = Object.entries(document.clients).map(
    ([name, client]) => `    ${JSON.stringify(name)}: ${JSON.stringify(client)}`,
  )
  const head = Object.entries(document)
    .filter(([name]) => name !== 'clients')
    .map(([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)},\n`)
  const clients = lines.length === 0 ? '{}' : `{\n${lines.join(',\n')}\n  }`
  return `{\n${head.join('')}  "clients": ${clients}\n}\n`
}
