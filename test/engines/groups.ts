import { Asks } from './asks.ts'
import type { Ask } from './caller.ts'

/** What happens while the requests of a group run. */
export type Event = 'revoke' | 'crash' | 'stall'

/** Requests that are compared with the engine's counters together. */
export type Group = {
  name: string
  asks: Ask[]
  /** Every request comes to its end, so that the ledger has to equal the counters. */
  isFinished: boolean
  event?: Event
  /** The `n` of all of its requests. */
  choices?: number
  /** So many at a time; left out, six. */
  atOnce?: number
}

/** A client of its own for each group that is cut, with its budget of the day; none is revoked instead. */
export const CUT_CLIENTS: Record<string, number | null> = {
  revoked: null,
  spender: 1500,
  staller: 1500,
  lister: 1500,
  embedder: 800,
}

/** One number for all, since some engines count a prompt once for each choice. */
const CHOICES = 3

/** What an engine that generates is asked. `endings` are the words that a route may stream in, or not. */
export function generating(seed: number): Group[] {
  const asks = new Asks(seed)
  const stream = () => asks.pick({ stream: true }, {})
  const streamed = { stream: true }
  const several = () => ({ n: CHOICES, temperature: 1 })
  const finished = (name: string, count: number, make: () => Ask): Group => {
    return withChoices({ name, asks: asks.many(count, make), isFinished: true })
  }
  const left = (name: string, count: number, make: () => Ask): Group => {
    return withChoices({ name, asks: asks.many(count, () => asks.left(make())), isFinished: false })
  }
  const anything = () =>
    asks.pick(
      () => asks.chat(stream()),
      () => asks.tools(stream()),
      () => asks.completion(stream()),
      () => asks.list(stream()),
      () => asks.messages(stream()),
      () => asks.responses(stream()),
    )()
  return [
    finished('chat, whole', 8, () => asks.chat()),
    finished('chat, streamed', 10, () => asks.chat(streamed)),
    finished('chat, n of 3, whole', 6, () => asks.chat(several())),
    finished('chat, n of 3, streamed', 8, () => asks.chat({ ...streamed, ...several() })),
    finished('chat with tools', 10, () => asks.tools(stream())),
    finished('chat with stop', 8, () => asks.stop(stream())),
    finished('completions', 8, () => asks.completion(stream())),
    finished('completions, a list, whole', 6, () => asks.list()),
    finished('completions, a list, streamed', 8, () => asks.list(streamed)),
    finished('completions, a list and n of 3, streamed', 6, () =>
      asks.list({ ...streamed, ...several() }),
    ),
    finished('messages', 10, () => asks.messages(stream())),
    finished('responses', 10, () => asks.responses(stream())),
    finished('prompts from the cache', 12, () => asks.cached(stream())),
    finished('refused by the engine', 8, () => refused(asks)),
    left('chat, streamed, left', 12, () => asks.chat(streamed)),
    left('chat, n of 3, streamed, left', 8, () => asks.chat({ ...streamed, ...several() })),
    left('chat with tools, streamed, left', 6, () => asks.tools(streamed)),
    left('completions, a list, streamed, left', 8, () => asks.list(streamed)),
    left('messages, streamed, left', 8, () => asks.messages(streamed)),
    left('responses, streamed, left', 8, () => asks.responses(streamed)),
    left('chat and completions, whole, left', 10, () => asks.pick(asks.chat(), asks.list())),
    left('messages and responses, whole, left', 6, () =>
      asks.pick(asks.messages(), asks.responses()),
    ),
    { name: 'of all kinds, a third left', asks: mixed(asks, anything), isFinished: false },
    cut(
      'cut by a hard budget',
      'spender',
      asks.many(4, () => asks.chat(streamed)),
    ),
    cut('cut by a hard budget, a list', 'lister', [asks.list(streamed)]),
    { ...cut('cut by revoking the key', 'revoked', revocable(asks)), event: 'revoke' },
    { ...cut('the engine dies', 'app', dying(asks)), event: 'crash' },
  ]
}

/** The same while the server's door stands still for a moment: many tokens come in one event then. */
export function stalling(seed: number): Group[] {
  const asks = new Asks(seed)
  const long = (client: string) => asks.many(3, () => endless(asks.chat({ stream: true }), client))
  const event = 'stall'
  return [
    { name: 'chat, streamed, many tokens in an event', asks: long('app'), isFinished: true, event },
    { ...cut('cut by a hard budget, many tokens in an event', 'staller', long('staller')), event },
  ]
}

function withChoices(group: Group): Group {
  return group.asks.every(({ body }) => body['n'] === CHOICES)
    ? { ...group, choices: CHOICES }
    : group
}

function mixed(asks: Asks, anything: () => Ask): Ask[] {
  return asks.many(24, anything).map((ask, index) => (index % 3 === 0 ? asks.left(ask) : ask))
}

/** What no engine takes: a prompt beyond its context, one without a text, and numbers out of range. */
function refused(asks: Asks): Ask {
  const long = 'qz '.repeat(6000)
  return asks.pick(
    () => asks.completion({ prompt: long, stream: true }),
    () =>
      asks.chat({ messages: [{ role: 'user', content: long }], stream: asks.pick(true, false) }),
    () => asks.messages({ messages: [{ role: 'user', content: long }], stream: true }),
    () => asks.responses({ input: long, stream: true }),
  )()
}

/** All at once, long, and not left: something else ends them. */
function cut(name: string, client: string, made: readonly Ask[]): Group {
  return { name, asks: made.map((ask) => endless(ask, client)), isFinished: false, atOnce: 12 }
}

function endless(ask: Ask, client: string): Ask {
  const field = ask.path === '/v1/responses' ? 'max_output_tokens' : 'max_tokens'
  return { path: ask.path, body: { ...ask.body, [field]: 1800, ignore_eos: true }, client }
}

function revocable(asks: Asks): Ask[] {
  const streamed = { stream: true }
  return [
    asks.chat(streamed),
    asks.completion(streamed),
    asks.list(streamed),
    asks.messages(streamed),
  ]
}

function dying(asks: Asks): Ask[] {
  const all = [true, false].flatMap((stream) => [
    asks.chat({ stream }),
    asks.completion({ stream }),
    asks.list({ stream }),
    asks.messages({ stream }),
    asks.responses({ stream }),
  ])
  return all
}

/** What an engine that embeds is asked, in the formats that it has. */
export function embedding(seed: number, formats: readonly string[]): Group[] {
  const asks = new Asks(seed)
  const groups: Group[] = formats.map((format) => ({
    name: `embeddings, ${format}`,
    asks: asks.many(6, () => asks.embedding({ encoding_format: format })),
    isFinished: true,
  }))
  const last = formats.at(-1) ?? 'float'
  const spent = asks.many(20, () => ({
    ...asks.embedding({ encoding_format: last }),
    client: 'embedder',
  }))
  return [
    ...groups,
    { name: `embeddings, ${last}, under a hard budget`, asks: spent, isFinished: true, atOnce: 1 },
  ]
}
