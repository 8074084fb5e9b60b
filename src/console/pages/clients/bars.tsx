import type { Rate, Standing, Subject } from '../../api/types.ts'
import { cost, dateTime, exact, relative, short, shortCost, utc } from '../../format.ts'
import { text } from '../../text/text.ts'
import { Meter } from '../../ui/meter.tsx'

type Bar = { part: number; standing: Standing } | { part: number; rate: Rate }

/** The limits and budgets of a client, key or group as bars, the fullest first when only a few are shown. */
export function SubjectBars({ subject, most }: { subject: Subject; most?: number }) {
  const bars = barsOf(subject)
  const shown =
    most === undefined || bars.length <= most
      ? bars
      : [...bars].sort((a, b) => b.part - a.part).slice(0, most)
  if (bars.length === 0) return <p class="muted">{text().clients.unlimited}</p>
  return (
    <div class={most === undefined ? 'meters' : 'meters meters-small'}>
      {shown.map((bar) =>
        'standing' in bar ? (
          <BudgetBar
            key={bar.standing.budget}
            standing={bar.standing}
            isHard={subject.isHard}
            isSmall={most !== undefined}
          />
        ) : (
          <RateBar key={bar.rate.limit} rate={bar.rate} isSmall={most !== undefined} />
        ),
      )}
    </div>
  )
}

function barsOf(subject: Subject): Bar[] {
  const budgets = subject.standings
    .filter(({ limit }) => limit !== null)
    .map((standing) => ({ part: partOf(standing.used, standing.limit ?? 0), standing }))
  const rates = subject.rates.map((rate) => ({ part: partOf(rate.taken ?? 0, rate.value), rate }))
  return [...budgets, ...rates]
}

function partOf(used: number, limit: number): number {
  return limit > 0 ? used / limit : 1
}

type BudgetProps = { standing: Standing; isHard: boolean; isSmall: boolean }

function BudgetBar({ standing, isHard, isSmall }: BudgetProps) {
  const { budget, used, reserved } = standing
  const limit = standing.limit ?? 0
  const words = text().clients
  const isCost = budget.startsWith('cost')
  const amount = !isCost ? short : isSmall ? shortCost : cost
  const whole = isCost ? cost : exact
  const left = standing.left ?? Math.max(0, limit - used)
  const renewsMs = Date.parse(standing.renews)
  const name = text().names.budgets[budget]
  return (
    <Meter
      label={
        <>
          {isSmall ? text().names.short[budget] : name}
          {isHard && !isSmall ? <span class="muted"> {words.hard}</span> : null}
        </>
      }
      name={name}
      used={used}
      reserved={reserved ?? 0}
      limit={limit}
      amounts={
        <span title={text().common.of(whole(used), whole(limit))}>
          <strong>{amount(used)}</strong> / {amount(limit)}
        </span>
      }
      note={
        isSmall ? undefined : (
          <>
            {words.left(amount(left))}
            {reserved ? ` · ${words.reserved(amount(reserved))}` : ''} ·{' '}
            <time dateTime={standing.renews} title={`${dateTime(renewsMs)} · ${utc(renewsMs)}`}>
              {words.renews(relative(renewsMs, Date.now()), dateTime(renewsMs))}
            </time>
          </>
        )
      }
    />
  )
}

function RateBar({ rate, isSmall }: { rate: Rate; isSmall: boolean }) {
  const name = text().names.limits[rate.limit]
  const taken = rate.taken
  return (
    <Meter
      label={isSmall ? text().names.short[rate.limit] : name}
      name={name}
      used={taken ?? 0}
      limit={rate.value}
      amounts={
        <>
          <strong>{taken === null ? '–' : short(taken)}</strong> / {short(rate.value)}
        </>
      }
    />
  )
}
