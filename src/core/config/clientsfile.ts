import type { Client, Clients } from './shapes.ts'

/**
 * The text of clients.json: one client in a line, so that it can be searched, compared and read by
 * people, and 100,000 of them are still parsed fast.
 */
export function formatClients(document: Clients): string {
  const clients = document.clients
  const lines = Object.keys(clients).map((name) => formatClient(name, clients[name] as Client))
  let head = ''
  Object.keys(document).forEach((name) => {
    if (name === 'clients') return
    head += `  ${JSON.stringify(name)}: ${JSON.stringify(document[name as keyof Clients])},\n`
  })
  const body = lines.length === 0 ? '{}' : `{\n${lines.join(',\n')}\n  }`
  return `{\n${head}  "clients": ${body}\n}\n`
}

/** The line of one client, without its comma. */
export function formatClient(name: string, client: Client): string {
  return `    ${JSON.stringify(name)}: ${JSON.stringify(client)}`
}
