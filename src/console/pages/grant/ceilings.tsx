import type { Budgets, Limits } from '../../../core/config/shapes.ts'
import { cost, short } from '../../format.ts'
import { text } from '../../text/text.ts'

type Props = { of: { limits?: Limits; budgets?: Budgets } }

/** Limits and budgets as they are set, in few words; nothing where there are none. */
export function Ceilings({ of }: Props) {
  if (!hasCeilings(of)) return null
  const { hard, ...budgets } = of.budgets ?? {}
  return (
    <ul class="ceilings">
      <Amounts amounts={budgets} />
      {hard ? <li class="muted">{text().clients.hard}</li> : null}
      <Amounts amounts={of.limits ?? {}} />
    </ul>
  )
}

type Names = ReturnType<typeof text>['names']['short']

function Amounts({ amounts }: { amounts: { [name in keyof Names]?: number } }) {
  const names = text().names.short
  return (
    <>
      {(Object.entries(amounts) as [keyof Names, number][]).map(([name, value]) => (
        <li key={name}>
          <span class="muted">{names[name]}</span>{' '}
          <strong>{name.startsWith('cost') ? cost(value) : short(value)}</strong>
        </li>
      ))}
    </>
  )
}

export function hasCeilings({ limits, budgets }: Props['of']): boolean {
  const { hard: _, ...amounts } = budgets ?? {}
  return Object.keys({ ...limits, ...amounts }).length > 0
}
