import { useState } from 'preact/hooks'
import { listPlans } from '../../api/calls.ts'
import type { Plan } from '../../api/types.ts'
import { exact } from '../../format.ts'
import { type Loaded, useLoad } from '../../load.ts'
import { whyNotWrite } from '../../permission.ts'
import { hashOf } from '../../route.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { ProblemNotice } from '../../ui/notice.tsx'
import { Badge, Empty, PageHead, Skeleton } from '../../ui/parts.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { Ceilings, hasCeilings } from '../grant/ceilings.tsx'
import { CreatePlan } from './create.tsx'

/** What clients share, and how many have each. */
export function PlansPage() {
  const words = text().plans
  const plans = useLoad('plans', listPlans)
  const [isCreating, setCreating] = useState(false)
  const create = (
    <Button kind="primary" icon="plus" whyNot={whyNotWrite.value} onClick={() => setCreating(true)}>
      {words.create}
    </Button>
  )
  return (
    <>
      <PageHead title={words.title} lead={words.lead}>
        {create}
      </PageHead>
      {plans.problem ? <ProblemNotice problem={plans.problem} onRetry={plans.reload} /> : null}
      <section class="panel panel-flush panel-list" aria-label={words.title}>
        <List plans={plans} create={create} />
      </section>
      {isCreating ? <CreatePlan onClose={() => setCreating(false)} /> : null}
    </>
  )
}

type ListProps = { plans: Loaded<Plan[]>; create: preact.ComponentChildren }

function List({ plans, create }: ListProps) {
  const words = text().plans
  if (!plans.data) return plans.isLoading ? <Skeleton lines={6} /> : null
  if (plans.data.length === 0) {
    return (
      <Empty icon="plans" title={words.nobody}>
        <p>{words.nobodyHint}</p>
        {create}
      </Empty>
    )
  }
  return (
    <Table caption={words.title} columns={columns()} rows={plans.data} keyOf={({ name }) => name} />
  )
}

function columns(): Column<Plan>[] {
  const words = text().plans
  return [
    {
      id: 'planName',
      heading: words.plan,
      isName: true,
      cell: ({ name, note, shadow }) => (
        <>
          <a class="client-link" href={hashOf(['plans', name])}>
            {name}
          </a>
          {shadow ? <Badge tone="warning">{text().clients.shadow}</Badge> : null}
          {note ? <span class="sub">{note}</span> : null}
        </>
      ),
    },
    {
      id: 'clients',
      heading: words.clients,
      isNumber: true,
      cell: ({ name, clients }) =>
        clients === 0 ? '0' : <a href={hashOf(['clients'], { q: name })}>{exact(clients)}</a>,
    },
    {
      id: 'planModels',
      heading: words.models,
      cell: ({ models }) => models?.join(', ') ?? words.allModels,
    },
    {
      id: 'ceilings',
      heading: words.ceilings,
      cell: (plan) => (hasCeilings(plan) ? <Ceilings of={plan} /> : words.unlimited),
    },
  ]
}
