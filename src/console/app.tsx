import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import { ClientPage } from './pages/client/client.tsx'
import { ClientsPage } from './pages/clients/clients.tsx'
import { KeysPage } from './pages/keys/keys.tsx'
import { Login } from './pages/login.tsx'
import { NowPage } from './pages/now/now.tsx'
import { PlanPage } from './pages/plans/plan.tsx'
import { PlansPage } from './pages/plans/plans.tsx'
import { PolicyPage } from './pages/policy/policy.tsx'
import { StatePage } from './pages/state/state.tsx'
import { UsagePage } from './pages/usage/usage.tsx'
import { route } from './route.ts'
import { me } from './session.ts'
import { type PageName, Shell } from './shell.tsx'
import { text } from './text/text.ts'
import { Empty, PageHead, useHeadingFocus } from './ui/parts.tsx'
import { Toasts } from './ui/toast.tsx'

export function App() {
  const [page, content] = choose(route.value.path)
  const isIn = me.value !== null
  useHeadingFocus(isIn ? route.value.path.join('/') : '')
  const title = isIn && page ? text().shell[page] : text().login.title
  useEffect(() => {
    document.title = `${title} · Tollgate`
  }, [title])
  return (
    <>
      {isIn ? <Shell page={page}>{content}</Shell> : <Login />}
      <Toasts />
    </>
  )
}

/** The page of a path, and which entry of the navigation it belongs to. */
function choose([name = 'now', one]: string[]): [PageName | null, ComponentChildren] {
  switch (name) {
    case 'now':
      return ['now', <NowPage key="now" />]
    case 'usage':
      return ['usage', <UsagePage key="usage" />]
    case 'clients':
      if (one !== undefined) return ['clients', <ClientPage key={one} name={one} />]
      return ['clients', <ClientsPage key="clients" />]
    case 'keys':
      return ['keys', <KeysPage key="keys" />]
    case 'plans':
      if (one !== undefined) return ['plans', <PlanPage key={one} name={one} />]
      return ['plans', <PlansPage key="plans" />]
    case 'policy':
      return ['policy', <PolicyPage key="policy" />]
    case 'state':
      return ['state', <StatePage key="state" />]
    default:
      return [null, <Unknown key="unknown" />]
  }
}

function Unknown() {
  const words = text().shell
  return (
    <>
      <PageHead title={words.unknown} />
      <Empty icon="search" title={words.unknown}>
        <a href="#/now">{words.toNow}</a>
      </Empty>
    </>
  )
}
