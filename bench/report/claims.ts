import type { RequestRow, Results, StreamRow } from '../results.ts'
import { baseOf, type Kind } from '../subjects.ts'

/** The figures of README.md and README.zh-TW.md, as they stand there. */
export type Claims = {
  /** Times plain `proxy_pass`, on QuickJS and on njs's own engine: three rows. */
  ratios: [string, string][]
  /** What a core carries with everything, on QuickJS: small requests a second, events a second. */
  perSecond: [string, string]
  /** Others, times plain `proxy_pass`: a request, and an event where they stream. */
  peers: { [peer: string]: [string, string | undefined] }
}

const PEERS = ['nginx-lua', 'haproxy', 'envoy', 'smg', 'litellm']
const STREAMS = 256

export function claimsOf({ requests, streams, peers }: Results): Claims {
  const usual = streams.filter((row) => row.streams === STREAMS && !row.asks)
  const of = (rows: readonly (RequestRow | StreamRow)[], kind: Kind) =>
    ['newest plain', 'debian13 plain'].map((base) => {
      const row = baseOf(rows, base, kind)
      return row === undefined ? '–' : ratio(row.ratio)
    }) as [string, string]
  const request = requests.find(({ subject }) => subject === 'newest all')
  const event = usual.find(({ subject }) => subject === 'newest all')
  return {
    ratios: [of(requests, 'identity'), of(requests, 'all'), of(usual, 'all')],
    perSecond: [
      rounded(request?.perSecond.median ?? 0, 100),
      rounded(1e6 / (event?.cpuUs.median ?? Infinity), 1000),
    ],
    peers: Object.fromEntries(
      PEERS.map((peer) => {
        const isPeer = ({ subject }: { subject: string }) => subject === `debian13 ${peer}`
        const [asked, streamed] = [peers.requests.find(isPeer), peers.streams.find(isPeer)]
        return [peer, [ratio(asked?.ratio), streamed && ratio(streamed.ratio)]]
      }),
    ),
  }
}

/** Below a hundred with one digit behind the point. */
function ratio(value = Number.NaN): string {
  return value < 100 ? value.toFixed(1) : value.toFixed(0)
}

/** Rounded down: nobody should be told too much. */
function rounded(value: number, to: number): string {
  return (Math.floor(value / to) * to).toLocaleString('en')
}
