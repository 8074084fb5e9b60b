import { useRef, useState } from 'preact/hooks'
import { cutRequest, getRunning } from '../../api/calls.ts'
import { type ApiProblem, asProblem } from '../../api/problem.ts'
import type { RunningList } from '../../api/types.ts'
import { exact, short } from '../../format.ts'
import { usePolling } from '../../load.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { Confirm } from '../../ui/confirm.tsx'
import { ProblemNotice } from '../../ui/notice.tsx'
import { Empty, PageHead, Panel, Skeleton, Tile } from '../../ui/parts.tsx'
import { say } from '../../ui/toast.tsx'
import { ClientBars } from './bars.tsx'
import { Pulse, type Sample } from './pulse.tsx'
import { RequestTable } from './requests.tsx'
import { byClient, LOOKS_KEPT, type Shown, totalSpeed, withSpeeds } from './speed.ts'

const POLL_MS = 1000
/** Three minutes are kept for the chart. */
const SAMPLES_KEPT = 180

type Look = { list: RunningList; requests: Shown[] }

/** What runs right now, asked every second while somebody looks. */
export function NowPage() {
  const words = text().now
  const [look, setLook] = useState<Look | null>(null)
  const [samples, setSamples] = useState<Sample[]>([])
  const [problem, setProblem] = useState<ApiProblem | null>(null)
  const [isLive, setLive] = useState(true)
  const [cutting, setCutting] = useState<Shown | null>(null)
  const before = useRef<RunningList[]>([])
  usePolling(POLL_MS, isLive, async (stopping) => {
    try {
      const list = await getRunning(stopping)
      const requests = withSpeeds(list, before.current)
      before.current = [...before.current, list].slice(-LOOKS_KEPT)
      setLook({ list, requests })
      setSamples((kept) => [...kept, sampleOf(list, requests)].slice(-SAMPLES_KEPT))
      setProblem(null)
    } catch (error) {
      if (!stopping.aborted) setProblem(asProblem(error))
    }
  })
  return (
    <>
      <PageHead title={words.title} lead={words.lead}>
        <LiveState isLive={isLive} isBroken={problem !== null} />
        <Button icon={isLive ? 'pause' : 'play'} onClick={() => setLive(!isLive)}>
          {isLive ? words.pause : words.resume}
        </Button>
      </PageHead>
      {problem && problem.code !== 'unreachable' ? <ProblemNotice problem={problem} /> : null}
      <Figures look={look} />
      <div class="columns columns-now">
        <Panel title={words.pulse} aside={<PulseLegend />}>
          <Pulse samples={samples} />
        </Panel>
        <Panel title={words.byClient}>
          {look ? <ClientBars clients={byClient(look.requests)} /> : <Skeleton />}
        </Panel>
      </div>
      <Panel title={words.requests} isFlush>
        <Requests look={look} onCut={setCutting} />
      </Panel>
      {cutting ? <CutDialog request={cutting} onClose={() => setCutting(null)} /> : null}
    </>
  )
}

function sampleOf(list: RunningList, requests: Shown[]): Sample {
  return { ms: Date.parse(list.time), speed: totalSpeed(requests), inFlight: list.total }
}

function LiveState({ isLive, isBroken }: { isLive: boolean; isBroken: boolean }) {
  const words = text().now
  const state = isBroken ? 'broken' : isLive ? 'on' : 'off'
  return <span class={`live live-${state}`}>{words.live[state]}</span>
}

function PulseLegend() {
  const words = text().now
  return (
    <span class="legend">
      <span class="legend-item legend-speed">{words.speed}</span>
      <span class="legend-item legend-flight">{words.inFlight}</span>
    </span>
  )
}

function Figures({ look }: { look: Look | null }) {
  const words = text().now
  const requests = look?.requests ?? []
  const streams = requests.filter(({ stream }) => stream).length
  const waiting = requests.filter(({ completionTokens }) => completionTokens === undefined).length
  const figure = (value: string) => (look ? value : '–')
  return (
    <dl class="tiles">
      <Tile
        label={words.inFlight}
        value={figure(exact(look?.list.total ?? 0))}
        note={words.streams(streams)}
      />
      <Tile label={words.speed} value={figure(short(totalSpeed(requests)))} note={words.ofAll} />
      <Tile
        label={words.clients}
        value={figure(exact(byClient(requests).length))}
        note={words.busy}
      />
      <Tile label={words.waiting} value={figure(exact(waiting))} note={words.beforeFirst} />
    </dl>
  )
}

function Requests({ look, onCut }: { look: Look | null; onCut(request: Shown): void }) {
  const words = text().now
  if (look === null) return <Skeleton />
  if (look.requests.length === 0) {
    return (
      <Empty icon="now" title={words.nothing}>
        <p>{words.nothingHint}</p>
      </Empty>
    )
  }
  const hidden = look.list.total - look.requests.length
  return (
    <>
      <RequestTable requests={look.requests} nowMs={Date.parse(look.list.time)} onCut={onCut} />
      {hidden > 0 ? <p class="table-more">{words.notListed(exact(hidden))}</p> : null}
    </>
  )
}

function CutDialog({ request, onClose }: { request: Shown; onClose(): void }) {
  const words = text().now
  const cut = async () => {
    try {
      await cutRequest(request.id)
      say(words.cutDone(request.client))
    } catch (error) {
      if (asProblem(error).status !== 404) throw error
      say(words.cutLate)
    }
  }
  return (
    <Confirm title={words.cutTitle} action={words.cut} onConfirm={cut} onClose={onClose}>
      <p>{words.cutAsk(request.client, request.model ?? request.route)}</p>
      <p class="muted">{words.cutEffect}</p>
    </Confirm>
  )
}
