import type { Grant } from '../../../core/config/shapes.ts'
import { getClient, listPlans, patchClient } from '../../api/calls.ts'
import type { Fetched } from '../../api/http.ts'
import type { ClientDetail } from '../../api/types.ts'
import { useLoad } from '../../load.ts'
import { whyNotWrite } from '../../permission.ts'
import { text } from '../../text/text.ts'
import { SelectField } from '../../ui/field.tsx'
import { Panel } from '../../ui/parts.tsx'
import { say } from '../../ui/toast.tsx'
import { useEdit } from '../grant/edit.ts'
import { GrantFields } from '../grant/fields.tsx'
import { EditForm } from '../grant/form.tsx'
import { type Form, LineInput } from '../grant/inputs.tsx'

type Props = { found: Fetched<ClientDetail>; onSaved(): void }

export function Settings({ found, onSaved }: Props) {
  const words = text().client
  const { name } = found.body
  const edit = useEdit(found, {
    read: () => getClient(name),
    write: (patch, base) => patchClient(name, base.etag, patch),
    fieldsOf: ({ effective: _, ...client }) => client,
    onSaved() {
      say(text().common.saved(name))
      onSaved()
    },
  })
  const plans = useLoad('plans', listPlans).data ?? []
  const { draft, wrong, set } = edit
  const plan: Grant | undefined = plans.find((one) => one.name === draft.plan)
  const isReadOnly = whyNotWrite.value !== null
  const form: Form = { of: 'client', draft, plan, wrong, isReadOnly, set }
  return (
    <Panel title={words.settings}>
      <EditForm edit={edit} conflict={words.conflict}>
        <GrantFields form={form} scopes={edit.base.effective.scopes ?? []}>
          <PlanInput form={form} plans={plans.map((one) => one.name)} />
          <LineInput form={form} path="group" label={words.group} hint={words.groupHint} />
          <LineInput form={form} path="note" label={words.note} />
        </GrantFields>
      </EditForm>
    </Panel>
  )
}

function PlanInput({ form, plans }: { form: Form; plans: string[] }) {
  const words = text().client
  const { plan } = form.draft
  const choices = plan === '' || plans.includes(plan) ? plans : [plan, ...plans]
  return (
    <SelectField
      label={words.plan}
      hint={words.planHint}
      value={plan}
      options={[
        ['', text().clients.noPlan],
        ...choices.map((name): [string, string] => [name, name]),
      ]}
      isReadOnly={form.isReadOnly}
      onChange={(value) => form.set('plan', value)}
    />
  )
}
