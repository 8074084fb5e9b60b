import { clock, duration, exact, short, utc } from '../../format.ts'
import { whyNotCut } from '../../permission.ts'
import { hashOf } from '../../route.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import type { Shown } from './speed.ts'

type Props = { requests: Shown[]; nowMs: number; onCut(request: Shown): void }

export function RequestTable({ requests, nowMs, onCut }: Props) {
  const words = text().now
  return (
    <Table
      caption={words.requests}
      columns={columnsOf(nowMs, onCut)}
      rows={requests}
      keyOf={({ worker, id }) => `${worker} ${id}`}
    />
  )
}

function columnsOf(nowMs: number, onCut: (request: Shown) => void): Column<Shown>[] {
  const words = text().now
  const columns: Column<Shown>[] = [
    {
      id: 'client',
      heading: words.client,
      isName: true,
      cell: ({ client, key }) => (
        <>
          <a href={hashOf(['clients', client])}>{client}</a>
          <code class="sub">{key}</code>
        </>
      ),
    },
    {
      id: 'model',
      heading: words.model,
      cell: ({ model, route, stream }) => (
        <>
          {model ?? '–'}
          <span class="sub">
            {route}
            {stream ? ` · ${words.stream}` : ''}
          </span>
        </>
      ),
    },
    { id: 'remote', heading: words.from, cell: ({ remote }) => <code>{remote}</code> },
    {
      id: 'prompt',
      heading: words.prompt,
      isNumber: true,
      cell: ({ promptTokens }) => (promptTokens === undefined ? '–' : exact(promptTokens)),
    },
    {
      id: 'tokens',
      heading: words.tokens,
      isNumber: true,
      cell: ({ completionTokens }) =>
        completionTokens === undefined ? '–' : exact(completionTokens),
    },
    {
      id: 'speed',
      heading: words.speedShort,
      isNumber: true,
      cell: ({ speed }) => (speed === null ? '–' : words.perSecond(short(speed))),
    },
    {
      id: 'running',
      heading: words.running,
      isNumber: true,
      cell: ({ startedAt }) => {
        const ms = Date.parse(startedAt)
        return (
          <time dateTime={startedAt} title={`${clock(ms)} · ${utc(ms)}`}>
            {duration(nowMs - ms)}
          </time>
        )
      },
    },
  ]
  if (whyNotCut.value === null) columns.push(cutColumn(onCut))
  return columns
}

function cutColumn(onCut: (request: Shown) => void): Column<Shown> {
  const words = text().now
  return {
    id: 'actions',
    heading: <span class="visually-hidden">{words.actions}</span>,
    isWhole: true,
    cell: (request) => (
      <Button
        isSmall
        icon="stop"
        label={words.cutOne(request.client, request.id.slice(0, 8))}
        onClick={() => onCut(request)}
      >
        {words.cut}
      </Button>
    ),
  }
}
