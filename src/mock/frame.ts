import { asObject, type Json, type JsonObject } from './call.ts'
import type { Settings } from './settings.ts'

const lineEnds = { lf: '\n', crlf: '\r\n', cr: '\r' }

/** Writes an event as other servers and proxies may: its data means the same, its bytes differ. */
export function createFrame(settings: Settings): (event: string) => string {
  const { fold, ahead, choice, lines } = settings
  const isLaidOut = fold || ahead || choice
  if (!isLaidOut && lines === 'lf') return (event) => event
  return (event) => {
    const laidOut = isLaidOut && event.includes('"usage":{') ? layOut(event, settings) : event
    return laidOut.replaceAll('\n', lineEnds[lines])
  }
}

/** The last event, which a server may leave without its empty line, or without any line end. */
export function endOpen(event: string, settings: Settings): string {
  if (settings.end === 'whole') return event
  return event.replace(settings.end === 'line' ? /(\r\n|\r|\n)$/ : /[\r\n]+$/, '')
}

function layOut(event: string, settings: Settings): string {
  const [, before, data] = /^(.*?data: )(\{.*\})\n\n$/s.exec(event) ?? []
  if (before === undefined || data === undefined) return event
  let value: Json = JSON.parse(data)
  if (settings.choice) value = withChoice(value)
  if (settings.ahead) value = usageFirst(value)
  // A line feed may stand between any two tokens of JSON: of each line the event gets a data field.
  const text = settings.fold
    ? JSON.stringify(value, null, 1).replaceAll('\n', '\ndata: ')
    : JSON.stringify(value)
  return `${before}${text}\n\n`
}

function withChoice(value: Json): Json {
  const chunk = asObject(value)
  if (!Array.isArray(chunk?.choices) || chunk.choices.length > 0) return value
  const said: JsonObject = chunk.object === 'text_completion' ? { text: '' } : { delta: {} }
  return { ...chunk, choices: [{ index: 0, ...said, logprobs: null, finish_reason: null }] }
}

function usageFirst(value: Json): Json {
  const object = asObject(value)
  if (object === undefined) return value
  const { usage, ...rest } = object
  const fields = Object.entries(rest).map(([name, field]) => [name, usageFirst(field)] as const)
  return { ...(usage === undefined ? {} : { usage }), ...Object.fromEntries(fields) }
}
