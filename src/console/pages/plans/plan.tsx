import { defaultScopes } from '../../../core/config/record.ts'
import { getPlan, patchPlan } from '../../api/calls.ts'
import type { Fetched } from '../../api/http.ts'
import type { Plan } from '../../api/types.ts'
import { exact } from '../../format.ts'
import { useLoad } from '../../load.ts'
import { whyNotWrite } from '../../permission.ts'
import { hashOf } from '../../route.ts'
import { text } from '../../text/text.ts'
import { Icon } from '../../ui/icon.tsx'
import { ProblemNotice } from '../../ui/notice.tsx'
import { Badge, PageHead, Panel, Skeleton } from '../../ui/parts.tsx'
import { say } from '../../ui/toast.tsx'
import { useEdit } from '../grant/edit.ts'
import { GrantFields } from '../grant/fields.tsx'
import { EditForm } from '../grant/form.tsx'
import { type Form, LineInput } from '../grant/inputs.tsx'
import { RemovePlan } from './remove.tsx'

export function PlanPage({ name }: { name: string }) {
  const words = text().plans
  const plan = useLoad(`plan ${name}`, (signal) => getPlan(name, signal))
  const found = plan.data
  return (
    <>
      <a class="back" href="#/plans">
        <Icon name="back" size={16} />
        {words.title}
      </a>
      <PageHead title={<Title name={name} plan={found?.body} />} lead={found?.body.note} />
      {plan.problem ? <ProblemNotice problem={plan.problem} onRetry={plan.reload} /> : null}
      {found ? (
        <>
          <Users plan={found.body} />
          <Settings found={found} onSaved={plan.reload} />
          <Panel title={words.removeTitle}>
            <div class="danger">
              <p>{words.removeHint}</p>
              <RemovePlan found={found} />
            </div>
          </Panel>
        </>
      ) : plan.isLoading ? (
        <Skeleton lines={9} isTall />
      ) : null}
    </>
  )
}

function Title({ name, plan }: { name: string; plan: Plan | undefined }) {
  return (
    <>
      {name} {plan?.shadow ? <Badge tone="warning">{text().clients.shadow}</Badge> : null}
    </>
  )
}

function Users({ plan: { name, clients } }: { plan: Plan }) {
  const words = text().plans
  return (
    <Panel title={words.clients}>
      <div class="danger">
        <p>
          {clients === 0 ? words.noUsers : words.users(exact(clients))}
          <span class="sub">{clients === 0 ? words.noUsersHint : words.usersHint}</span>
        </p>
        {clients === 0 ? null : (
          <a class="button button-plain" href={hashOf(['clients'], { q: name })}>
            <Icon name="clients" />
            <span>{words.showUsers}</span>
          </a>
        )}
      </div>
    </Panel>
  )
}

function Settings({ found, onSaved }: { found: Fetched<Plan>; onSaved(): void }) {
  const words = text().plans
  const { name } = found.body
  const { draft, wrong, set, ...edit } = useEdit(found, {
    read: () => getPlan(name),
    write: (patch, base) => patchPlan(base, patch),
    fieldsOf: ({ clients: _, ...plan }) => plan,
    onSaved() {
      say(text().common.saved(name))
      onSaved()
    },
  })
  const isReadOnly = whyNotWrite.value !== null
  const form: Form = { of: 'plan', draft, plan: undefined, wrong, isReadOnly, set }
  return (
    <Panel title={text().client.settings}>
      <EditForm edit={{ ...edit, wrong }} conflict={words.conflict}>
        <GrantFields form={form} scopes={defaultScopes()}>
          <LineInput form={form} path="note" label={text().client.note} />
        </GrantFields>
      </EditForm>
    </Panel>
  )
}
