import type { ComponentChildren } from 'preact'
import type { Status, Zone } from '../../api/types.ts'
import { bytes, duration, exact } from '../../format.ts'
import { text } from '../../text/text.ts'
import { Meter } from '../../ui/meter.tsx'
import { Badge, Time } from '../../ui/parts.tsx'
import { Table } from '../../ui/table.tsx'

function Facts({ facts }: { facts: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

export function Versions({ now }: { now: Status }) {
  const words = text().state
  return (
    <Facts
      facts={[
        ['Tollgate', now.version],
        ['nginx', now.nginx],
        ['njs', `${now.njs} (${now.engine})`],
        [words.started, <Time key="started" value={now.startedAt ?? ''} isRelative />],
      ]}
    />
  )
}

export function Load({ now }: { now: Status }) {
  const words = text().state
  const isGood = now.problems.length === 0
  return (
    <Facts
      facts={[
        [
          words.lastLoad,
          <Badge key="load" tone={isGood ? 'good' : 'error'}>
            {isGood ? words.loadGood : words.loadBad}
          </Badge>,
        ],
        [words.loaded, now.loaded ? <Time key="loaded" value={now.loaded} isRelative /> : '–'],
        [words.took, duration(now.elapsedMs)],
        [words.generation, exact(now.generation)],
        [words.clients, exact(now.clients)],
        [words.keys, exact(now.keys)],
      ]}
    />
  )
}

export function Ledger({ now }: { now: Status }) {
  const words = text().state
  const { ledger } = now
  if (ledger === null) return <p class="muted">{words.notCounted}</p>
  const isBehind = ledger.behindBytes > 0
  return (
    <Facts
      facts={[
        [
          words.counted,
          <Badge key="behind" tone={ledger.problem ? 'error' : isBehind ? 'warning' : 'good'}>
            {isBehind ? words.behind(bytes(ledger.behindBytes)) : words.upToDate}
          </Badge>,
        ],
        [words.lines, exact(ledger.lines)],
        [words.skipped, exact(ledger.skipped)],
        [words.offset, bytes(ledger.offset)],
      ]}
    />
  )
}

/** How full the shared memory is. Old njs does not tell the size of a zone: then only what is free. */
export function Zones({ zones }: { zones: Zone[] }) {
  const words = text().state
  return (
    <div class="meters meters-zones">
      {zones.map(({ name, capacityBytes, freeBytes, entries }) =>
        capacityBytes ? (
          <Meter
            key={name}
            name={name}
            label={<code>{name.replace(/^tollgate_/, '')}</code>}
            used={capacityBytes - freeBytes}
            limit={capacityBytes}
            amounts={`${bytes(capacityBytes - freeBytes)} / ${bytes(capacityBytes)}`}
            note={words.entries(exact(entries))}
          />
        ) : (
          <div key={name} class="meter">
            <div class="meter-head">
              <span class="meter-label">
                <code>{name.replace(/^tollgate_/, '')}</code>
              </span>
              <span class="meter-amounts">{words.free(bytes(freeBytes))}</span>
            </div>
            <div class="meter-note">{words.entries(exact(entries))}</div>
          </div>
        ),
      )}
    </div>
  )
}

export function Workers({ now }: { now: Status }) {
  const words = text().state
  return (
    <Table
      caption={words.workers}
      rows={now.workers}
      keyOf={({ pid }) => String(pid)}
      columns={[
        { id: 'pid', heading: words.pid, isName: true, cell: ({ pid }) => <code>{pid}</code> },
        {
          id: 'inFlight',
          heading: words.inFlight,
          isNumber: true,
          cell: ({ inFlight }) => exact(inFlight),
        },
      ]}
    />
  )
}
