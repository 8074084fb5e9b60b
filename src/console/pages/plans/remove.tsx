import { useState } from 'preact/hooks'
import { listClients, removePlan } from '../../api/calls.ts'
import type { Fetched } from '../../api/http.ts'
import { type ApiProblem, asProblem } from '../../api/problem.ts'
import type { Plan } from '../../api/types.ts'
import { exact } from '../../format.ts'
import { whyNotWrite } from '../../permission.ts'
import { go, hashOf } from '../../route.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { Confirm } from '../../ui/confirm.tsx'
import { Notice } from '../../ui/notice.tsx'
import { say } from '../../ui/toast.tsx'

/** Clients that are named where a plan cannot be removed. */
const USERS_NAMED = 12
const USERS_ASKED = 1000

type Users = { names: string[]; hasMore: boolean }

/** Removes a plan after asking; one that clients have is refused by the API, and this names them. */
export function RemovePlan({ found }: { found: Fetched<Plan> }) {
  const words = text().plans
  const [isOpen, setOpen] = useState(false)
  const { name } = found.body
  const [users, setUsers] = useState<Users | null>(null)
  const remove = async () => {
    try {
      await removePlan(name, found.etag)
    } catch (error) {
      if (isInUse(asProblem(error))) setUsers(await findUsers(name).catch(() => null))
      throw error
    }
    say(words.removed(name))
    go(['plans'])
  }
  return (
    <>
      <Button kind="danger" icon="trash" whyNot={whyNotWrite.value} onClick={() => setOpen(true)}>
        {words.remove}
      </Button>
      {isOpen ? (
        <Confirm
          title={words.removeAsk(name)}
          action={words.remove}
          onConfirm={remove}
          describe={(problem) => (isInUse(problem) && users ? <InUse users={users} /> : null)}
          onClose={() => setOpen(false)}
        >
          <p>{found.body.clients === 0 ? words.removeEffect : words.removeHint}</p>
        </Confirm>
      ) : null}
    </>
  )
}

function InUse({ users: { names, hasMore } }: { users: Users }) {
  const words = text().plans
  const shown = names.slice(0, USERS_NAMED)
  const count = hasMore ? `${exact(names.length)}+` : exact(names.length)
  return (
    <Notice tone="error" title={words.inUse(count)}>
      <p>{words.inUseFix}</p>
      <ul class="names">
        {shown.map((name) => (
          <li key={name}>
            <a href={hashOf(['clients', name])}>{name}</a>
          </li>
        ))}
        {shown.length < names.length || hasMore ? <li>…</li> : null}
      </ul>
    </Notice>
  )
}

function isInUse({ code }: ApiProblem): boolean {
  return code === 'in-use'
}

/** The API looks for the name in other fields too: only those that have the plan are meant. */
async function findUsers(plan: string): Promise<Users> {
  const page = { q: plan, limit: USERS_ASKED }
  const { clients, next } = await listClients(page, new AbortController().signal)
  const names = clients.filter((client) => client.plan === plan).map(({ name }) => name)
  return { names, hasMore: next !== null }
}
