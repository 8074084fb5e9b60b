/**
 * Where gate.conf has sent a GET whose body nothing had announced: it has been read, and the request begins
 * anew.
 */
export function again(r: NginxHTTPRequest): void {
  const variables = r.variables
  const args = variables['args']
  r.internalRedirect((variables['uri'] || '') + (args ? `?${args}` : ''))
}
