import { randomOf } from '../../random.ts'
import { type Entry, type Tensor, writeGguf } from './gguf.ts'

// Small, and slow enough for callers to leave in the middle of an answer: 1,000 tokens a second or so.
const WIDTH = 256
const INNER = 512
const LAYERS = 8
const HEADS = 8
const CONTEXT = 4096
const LETTERS = 'abcdefghijklmnopqrstuvwxyz'
const TEMPLATE =
  "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}" +
  '{% if add_generation_prompt %}assistant: {% endif %}'

/** Makes a Llama of random numbers: it says nonsense, at the speed and with the bytes of a real one. */
export async function makeModel(path: string): Promise<void> {
  const { tokens, merges, types } = vocabulary()
  const string = (value: string): Entry => ({ kind: 'string', value })
  const whole = (value: number): Entry => ({ kind: 'uint32', value })
  const entries: Record<string, Entry> = {
    'general.architecture': string('llama'),
    'general.name': string('tiny'),
    'llama.context_length': whole(CONTEXT),
    'llama.embedding_length': whole(WIDTH),
    'llama.block_count': whole(LAYERS),
    'llama.feed_forward_length': whole(INNER),
    'llama.attention.head_count': whole(HEADS),
    'llama.attention.head_count_kv': whole(HEADS),
    'llama.attention.layer_norm_rms_epsilon': { kind: 'float32', value: 1e-5 },
    'llama.rope.dimension_count': whole(WIDTH / HEADS),
    'llama.vocab_size': whole(tokens.length),
    'tokenizer.ggml.model': string('gpt2'),
    'tokenizer.ggml.pre': string('gpt-2'),
    'tokenizer.ggml.tokens': { kind: 'strings', value: tokens },
    'tokenizer.ggml.token_type': { kind: 'int32s', value: types },
    'tokenizer.ggml.merges': { kind: 'strings', value: merges },
    'tokenizer.ggml.bos_token_id': whole(0),
    'tokenizer.ggml.eos_token_id': whole(1),
    'tokenizer.chat_template': string(TEMPLATE),
  }
  await writeGguf(path, entries, weights(tokens.length))
}

/** Tokens of one byte each, of two letters, and of a space with a letter; and the two that begin and end a text. */
function vocabulary(): { tokens: string[]; merges: string[]; types: number[] } {
  const pairs = [...LETTERS].flatMap((first) => [...LETTERS].map((second) => [first, second]))
  const starts = [...LETTERS].map((letter) => ['Ġ', letter])
  const all = [...starts, ...pairs]
  const bytes = Array.from({ length: 256 }, (_, byte) => letterOf(byte))
  const tokens = ['<s>', '</s>', ...bytes, ...all.map((pair) => pair.join(''))]
  const CONTROL = 3
  const NORMAL = 1
  const types = tokens.map((_, index) => (index < 2 ? CONTROL : NORMAL))
  return { tokens, merges: all.map((pair) => pair.join(' ')), types }
}

/** How GPT-2's vocabulary writes a byte: what can be printed as itself, the rest from U+0100 on. */
function letterOf(byte: number): string {
  const isPrintable = (value: number) =>
    (value >= 33 && value <= 126) || (value >= 161 && value <= 172) || value >= 174
  if (isPrintable(byte)) return String.fromCharCode(byte)
  let hidden = 0
  for (let lower = 0; lower < byte; lower++) if (!isPrintable(lower)) hidden++
  return String.fromCharCode(256 + hidden)
}

function weights(tokens: number): Tensor[] {
  const random = randomOf(7)
  const matrix = (name: string, ...sizes: number[]): Tensor => {
    const length = sizes.reduce((product, size) => product * size, 1)
    const values = Float32Array.from({ length }, () => (random() - 0.5) * 0.8)
    return { name, sizes, values }
  }
  const ones = (name: string): Tensor => {
    return { name, sizes: [WIDTH], values: new Float32Array(WIDTH).fill(1) }
  }
  const layer = (index: number): Tensor[] => [
    ones(`blk.${index}.attn_norm.weight`),
    ...['q', 'k', 'v', 'output'].map((part) =>
      matrix(`blk.${index}.attn_${part}.weight`, WIDTH, WIDTH),
    ),
    ones(`blk.${index}.ffn_norm.weight`),
    matrix(`blk.${index}.ffn_gate.weight`, WIDTH, INNER),
    matrix(`blk.${index}.ffn_up.weight`, WIDTH, INNER),
    matrix(`blk.${index}.ffn_down.weight`, INNER, WIDTH),
  ]
  return [
    matrix('token_embd.weight', WIDTH, tokens),
    ...Array.from({ length: LAYERS }, (_, index) => layer(index)).flat(),
    ones('output_norm.weight'),
    matrix('output.weight', WIDTH, tokens),
  ]
}
