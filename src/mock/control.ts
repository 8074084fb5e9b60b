import type { IncomingMessage, ServerResponse } from 'node:http'
import { readBody } from './body.ts'
import { type Settings, SettingsError, withSettings } from './settings.ts'
import type { Shared } from './shared.ts'

type Control = {
  isFor(request: IncomingMessage): boolean
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>
  /** Applies what was set for the next request, and uses it up. */
  takeNext(settings: Settings): Settings
  reset(): void
}

/**
 * The mock's own endpoints, which never appear in the log:
 * `GET /__mock/log`, `POST /__mock/reset`, and `POST /__mock/next` with a body of settings, such as `tokens:5,die:2`,
 * or of JSON, `{"settings":"status:503","times":3}`, for that many requests.
 */
export function createControl(shared: Shared): Control {
  let waiting: string[] = []

  function takeNext(settings: Settings): Settings {
    const text = waiting.shift()
    return text === undefined ? settings : withSettings(settings, text)
  }

  function reset(): void {
    waiting = []
    shared.log.clear()
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = (await readBody(request))?.toString() ?? ''
    response.setHeader('content-type', 'application/json')
    switch (`${request.method} ${request.url}`) {
      case 'GET /__mock/log':
        response.end(JSON.stringify(shared.log.records()))
        return
      case 'POST /__mock/reset':
        reset()
        response.end('{}')
        return
      case 'POST /__mock/next':
        return setNext(text, response)
      default:
        response
          .writeHead(404)
          .end('{"error":"No such mock endpoint: see /__mock/log, reset, next"}')
    }
  }

  function setNext(text: string, response: ServerResponse): void {
    try {
      const { settings, times } = nextOf(text)
      withSettings(shared.settings, settings)
      for (let time = 0; time < times; time++) waiting.push(settings)
      response.end(JSON.stringify({ waiting: waiting.length }))
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error
      response.writeHead(400).end(JSON.stringify({ error: error.message }))
    }
  }

  return {
    isFor: (request) => request.url?.startsWith('/__mock/') === true,
    handle,
    takeNext,
    reset,
  }
}

function nextOf(text: string): { settings: string; times: number } {
  if (!text.trimStart().startsWith('{')) return { settings: text, times: 1 }
  try {
    const next = JSON.parse(text)
    return { settings: String(next.settings ?? ''), times: Number(next.times ?? 1) }
  } catch {
    throw new SettingsError('Cannot read the body of /__mock/next: it is neither settings nor JSON')
  }
}
