import type { ComponentChildren } from 'preact'
import { percent } from '../format.ts'

type Props = {
  label: ComponentChildren
  /** What the bar is of, for those who do not see it. */
  name: string
  used: number
  reserved?: number
  limit: number
  /** `1,200 of 5,000`. */
  amounts: ComponentChildren
  note?: ComponentChildren
}

/** From here a bar warns, and from here it alarms. */
const NEAR = 0.8
const FULL = 1

/** How much of a limit is used, as a bar; what is only reserved is paler. */
export function Meter({ label, name, used, reserved = 0, limit, amounts, note }: Props) {
  const part = limit > 0 ? Math.min(1, used / limit) : used > 0 ? 1 : 0
  const held = limit > 0 ? Math.min(1 - part, reserved / limit) : 0
  const isFull = limit === 0 || used / limit >= FULL
  const level = isFull ? 'full' : used / limit >= NEAR ? 'near' : 'fine'
  return (
    <div class={`meter meter-${level}`}>
      <div class="meter-head">
        <span class="meter-label">{label}</span>
        <span class="meter-amounts">{amounts}</span>
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: the element for it cannot have two parts */}
      <div
        class="meter-bar"
        role="meter"
        aria-label={name}
        aria-valuemin={0}
        aria-valuemax={limit}
        aria-valuenow={Math.min(used, limit)}
        aria-valuetext={percent(limit > 0 ? used / limit : 1)}
      >
        <span class="meter-used" style={{ width: `${part * 100}%` }} />
        <span class="meter-held" style={{ width: `${held * 100}%` }} />
      </div>
      {note ? <div class="meter-note">{note}</div> : null}
    </div>
  )
}
