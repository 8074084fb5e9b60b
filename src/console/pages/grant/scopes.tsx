import { SCOPES } from '../../../core/config/schema.ts'
import type { Scope } from '../../../core/config/shapes.ts'
import { text } from '../../text/text.ts'
import { CheckField } from '../../ui/field.tsx'
import { textOf, valueAt } from './draft.ts'
import type { Form } from './inputs.tsx'

/** What holds where neither client nor plan says anything: core/config/resolve.ts. */
type Props = { form: Form; effective: Scope[] }

/** Which groups of routes may be called: own ones, those of the plan, or the usual ones. */
export function ScopesInput({ form, effective }: Props) {
  const words = text().client
  const names = text().names.scopes
  const own = form.draft.scopes
  const given = textOf(valueAt(form.plan, 'scopes')) || effective.join('\n')
  const chosen = (own || given).split('\n')
  const set = (scope: string, isOn: boolean) => {
    const next = SCOPES.filter((one) => (one === scope ? isOn : chosen.includes(one)))
    // None at all cannot be told from "as the plan says": the last one stays.
    if (next.length > 0) form.set('scopes', next.join('\n'))
  }
  return (
    <fieldset class="checks">
      <legend>{words.scopes}</legend>
      <CheckField
        label={form.of === 'plan' ? words.scopesAsUsual : words.scopesAsPlan}
        isChecked={own === ''}
        isReadOnly={form.isReadOnly}
        onChange={(isOn) => form.set('scopes', isOn ? '' : chosen.join('\n'))}
      />
      {SCOPES.map((scope) => (
        <CheckField
          key={scope}
          label={names[scope as Scope]}
          isChecked={chosen.includes(scope)}
          isReadOnly={form.isReadOnly || own === ''}
          onChange={(isOn) => set(scope, isOn)}
        />
      ))}
    </fieldset>
  )
}
