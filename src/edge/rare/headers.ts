/** Sets headers of the answer. */
export function setHeaders(r: NginxHTTPRequest, headers: { [name: string]: string }): void {
  Object.keys(headers).forEach((name) => {
    r.headersOut[name] = headers[name]
  })
}
