import { type Answer, done, json, stream } from './answer.ts'
import { type Call, created, type JsonObject } from './call.ts'
import { errorEvent, failureOf } from './failure.ts'
import { finalUsage } from './usage.ts'

/** Bytes of one second of 16 kHz 16-bit mono: how the mock tells the length of any upload. */
export const bytesPerSecond = 32_000

/** POST /v1/audio/transcriptions and translations, from the fields that formOf has read. */
export function answerTranscription(call: Call, isTranslation: boolean): Answer {
  const format = call.body.response_format ?? 'json'
  if (call.isStream) return streamOf(call)
  const text = call.text().trim()
  if (format === 'text') {
    return { ...json(text, call.tokens), headers: { 'content-type': 'text/plain; charset=utf-8' } }
  }
  const seconds = Math.ceil(Number(call.body.file_bytes ?? 0) / bytesPerSecond)
  if (format === 'verbose_json') {
    const verbose = { duration: String(seconds), language: 'en', text, segments: [], words: null }
    return json(JSON.stringify(verbose), call.tokens)
  }
  const usage = isTranslation ? {} : { usage: { type: 'duration', seconds } }
  return json(JSON.stringify({ text, ...usage }), call.tokens)
}

function streamOf(call: Call): Answer {
  const open = `data: {"id":${JSON.stringify(`trsc-${call.id}`)},"object":"transcription.chunk","created":${created},"model":${JSON.stringify(call.model)},"choices":[`
  const usage = call.body.stream_include_usage === true || call.settings.usage === 'force'
  return stream({
    tokens: call.tokens,
    choices: 1,
    head: [],
    token: (step) =>
      `${open}{"delta":{"content":"${call.piece(step)}"},"finish_reason":null,"stop_reason":null}]}\n\n`,
    tail: [
      `${open}{"delta":{"content":""},"finish_reason":"stop","stop_reason":null}]}\n\n`,
      ...(usage ? [`${open}],"usage":${finalUsage(call, 'absent')}}\n\n`] : []),
      done,
    ],
    failure: failureOf(call.settings, [errorEvent(call.settings), done]),
    isAscii: call.isAscii,
  })
}

/**
 * Reads a multipart form: text fields by name, `true` and `false` as booleans, and the size of the file as `file_bytes`.
 * Undefined where the body is not one.
 */
export function formOf(contentType: string, body: Buffer): JsonObject | undefined {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1]
  if (!contentType.toLowerCase().startsWith('multipart/form-data') || boundary === undefined) {
    return undefined
  }
  const form: JsonObject = {}
  for (const part of body.toString('latin1').split(`--${boundary}`)) {
    const [head = '', ...rest] = part.split('\r\n\r\n')
    const name = /name="([^"]*)"/i.exec(head)?.[1]
    if (name === undefined) continue
    const value = rest.join('\r\n\r\n').replace(/\r\n$/, '')
    if (/filename="/i.test(head)) form.file_bytes = value.length
    else form[name] = value === 'true' ? true : value === 'false' ? false : value
  }
  return form
}
