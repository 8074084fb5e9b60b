import { writeFile } from 'node:fs/promises'

/** One entry of a GGUF head: a string, a whole number, a number with a fraction, a truth or a list of strings or numbers. */
export type Entry =
  | { kind: 'string'; value: string }
  | { kind: 'uint32' | 'float32'; value: number }
  | { kind: 'strings'; value: readonly string[] }
  | { kind: 'int32s'; value: readonly number[] }

/** A tensor of 32-bit floats; the first size is that of a row. */
export type Tensor = { name: string; sizes: readonly number[]; values: Float32Array }

// The numbers that the format gives to types, and the place where each tensor must begin.
const UINT32 = 4
const INT32 = 5
const FLOAT32 = 6
const STRING = 8
const ARRAY = 9
const TENSOR_FLOAT32 = 0
const ALIGNMENT = 32
const VERSION = 3

/** Writes a model as llama.cpp reads it: a head, what the tensors are, and their numbers. */
export async function writeGguf(
  path: string,
  entries: Readonly<Record<string, Entry>>,
  tensors: readonly Tensor[],
): Promise<void> {
  const names = Object.entries(entries)
  const parts = [
    Buffer.from('GGUF'),
    uint32(VERSION),
    uint64(tensors.length),
    uint64(names.length),
    ...names.flatMap(([name, entry]) => [text(name), encode(entry)]),
  ]
  let offset = 0
  for (const { name, sizes, values } of tensors) {
    parts.push(text(name), uint32(sizes.length), ...sizes.map(uint64))
    parts.push(uint32(TENSOR_FLOAT32), uint64(offset))
    offset += padded(values.byteLength)
  }
  parts.push(padding(parts.reduce((sum, part) => sum + part.length, 0)))
  for (const { values } of tensors) {
    parts.push(Buffer.from(values.buffer, values.byteOffset, values.byteLength))
    parts.push(padding(values.byteLength))
  }
  await writeFile(path, Buffer.concat(parts))
}

function encode(entry: Entry): Buffer {
  switch (entry.kind) {
    case 'string':
      return Buffer.concat([uint32(STRING), text(entry.value)])
    case 'uint32':
      return Buffer.concat([uint32(UINT32), uint32(entry.value)])
    case 'float32':
      return Buffer.concat([uint32(FLOAT32), float32(entry.value)])
    case 'strings':
      return list(STRING, entry.value.map(text))
    case 'int32s':
      return list(INT32, entry.value.map(uint32))
  }
}

function list(type: number, items: readonly Buffer[]): Buffer {
  return Buffer.concat([uint32(ARRAY), uint32(type), uint64(items.length), ...items])
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([uint64(bytes.length), bytes])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return bytes
}

function padded(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT
}

function padding(length: number): Buffer {
  return Buffer.alloc(padded(length) - length)
}
