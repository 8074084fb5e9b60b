import { parsePath, type Segment } from '../../../core/config/path.ts'

/** A stretch of a text, as textareas select it. */
export type Place = { start: number; end: number }

/**
 * Where the value of a path stands in a JSON text; where it is not there, the nearest one around it that
 * is. The text is valid JSON.
 */
export function locate(text: string, path: string): Place | null {
  const segments = parsePath(path)
  if (segments === null) return null
  const reader: Reader = { text, at: 0, wanted: segments, best: null }
  readValue(reader, 0)
  return reader.best
}

/** The line of an offset, from 1. */
export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

type Reader = { text: string; at: number; wanted: Segment[]; best: Place | null }

/** Reads a value; `depth` segments of the path have led to it, or it is off the path (-1). */
function readValue(reader: Reader, depth: number): void {
  skipBlank(reader)
  const start = reader.at
  const first = reader.text[start]
  if (first === '{') readObject(reader, depth)
  else if (first === '[') readArray(reader, depth)
  else if (first === '"') readString(reader)
  else while (/[^\s,\]}]/.test(reader.text[reader.at] ?? ' ')) reader.at++
  const isDeepest = depth === reader.wanted.length || (depth >= 0 && reader.best === null)
  if (depth >= 0 && isDeepest) reader.best = { start, end: reader.at }
}

function readObject(reader: Reader, depth: number): void {
  reader.at++
  for (;;) {
    skipBlank(reader)
    const start = reader.at
    if (reader.text[start] !== '"') break
    const name: unknown = JSON.parse(readString(reader))
    skipBlank(reader)
    reader.at++
    const isOn = depth >= 0 && reader.wanted[depth] === name
    readValue(reader, isOn ? depth + 1 : -1)
    // A field is shown with its name.
    if (isOn && depth + 1 === reader.wanted.length) reader.best = { start, end: reader.at }
    if (!skipComma(reader)) break
  }
  reader.at++
}

function readArray(reader: Reader, depth: number): void {
  reader.at++
  for (let i = 0; ; i++) {
    skipBlank(reader)
    if (reader.text[reader.at] === ']') break
    readValue(reader, depth >= 0 && reader.wanted[depth] === i ? depth + 1 : -1)
    if (!skipComma(reader)) break
  }
  reader.at++
}

function readString(reader: Reader): string {
  const start = reader.at
  reader.at++
  while (reader.at < reader.text.length && reader.text[reader.at] !== '"') {
    reader.at += reader.text[reader.at] === '\\' ? 2 : 1
  }
  reader.at++
  return reader.text.slice(start, reader.at)
}

function skipBlank(reader: Reader): void {
  while (/\s/.test(reader.text[reader.at] ?? 'x')) reader.at++
}

function skipComma(reader: Reader): boolean {
  skipBlank(reader)
  if (reader.text[reader.at] !== ',') return false
  reader.at++
  return true
}
