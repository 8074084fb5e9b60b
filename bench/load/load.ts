import { program } from '../machine.ts'
import { runForJson } from '../processes.ts'
import { findWrk } from './wrk.ts'

/** A load that is as high as so many connections make it. */
export type RequestLoad = {
  port: number
  path: string
  keysFile: string
  bodyFile: string
  connections: number
  seconds: number
  headers?: Record<string, string>
}

/** What the client of a load saw. `errors` counts answers that are not 200, and broken connections. */
export type RequestResult = {
  requests: number
  errors: number
  seconds: number
  p50Ms: number
  p99Ms: number
}

/** What makes loads, as the report names it, and runs one to its end. */
export type Loader = { name: string; run(load: RequestLoad): Promise<RequestResult> }

/** wrk where it can be had, else a client on Node. */
export async function chooseLoader(isWithoutWrk: boolean): Promise<Loader> {
  const wrk = isWithoutWrk ? null : await findWrk()
  if (wrk !== null) return { name: 'wrk', run: (load) => runForJson(wrk(load)) }
  return {
    name: 'a client on Node',
    run: (load) => runForJson(program('client', 'requests', load)),
  }
}

/** A request as it goes over the wire. */
export function formatRequest(load: RequestLoad, key: string, body: Buffer): Buffer {
  const headers = Object.entries(load.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`)
  const head =
    `POST ${load.path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${key}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n${headers.join('')}\r\n`
  return Buffer.concat([Buffer.from(head), body])
}
