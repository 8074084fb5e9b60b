import type { ComponentChildren } from 'preact'
import { usePolling } from './load.ts'
import { hashOf } from './route.ts'
import { endSession, me } from './session.ts'
import { refreshStatus, status, statusProblem } from './status.ts'
import { choose, language, tagOf } from './text/language.ts'
import { text } from './text/text.ts'
import { type Theme, theme } from './theme.ts'
import { Boundary } from './ui/boundary.tsx'
import { Button } from './ui/button.tsx'
import { Icon, type IconName, Mark } from './ui/icon.tsx'
import { Notice } from './ui/notice.tsx'
import { Badge } from './ui/parts.tsx'

export type PageName = 'now' | 'usage' | 'clients' | 'keys' | 'plans' | 'policy' | 'state'

const PAGES: PageName[] = ['now', 'usage', 'clients', 'keys', 'plans', 'policy', 'state']
const STATUS_MS = 10_000

/** What is around every page: navigation, who is here, and what is wrong with the gate as a whole. */
export function Shell({ page, children }: { page: PageName | null; children: ComponentChildren }) {
  usePolling(STATUS_MS, true, refreshStatus)
  const words = text().shell
  return (
    <div class="shell">
      <button
        type="button"
        class="skip"
        onClick={() => document.querySelector<HTMLElement>('main h1')?.focus()}
      >
        {words.skip}
      </button>
      <header class="topbar">
        <a class="brand" href="#/now">
          <Mark />
          <span>Tollgate</span>
        </a>
        <div class="topbar-end">
          <Who />
          <LanguageSwitch />
          <ThemeSwitch />
          <Button
            kind="quiet"
            icon="leave"
            label={words.logOut}
            onClick={() => endSession('left')}
          />
        </div>
      </header>
      <nav class="nav" aria-label={words.navigation}>
        {PAGES.map((name) => (
          <NavLink key={name} name={name} isCurrent={name === page} />
        ))}
      </nav>
      <main class="main" id="main">
        {statusProblem.value?.code === 'unreachable' ? (
          <Notice tone="error" title={text().problem.unreachable}>
            <p>{text().problem.unreachableFix}</p>
          </Notice>
        ) : null}
        <Boundary key={page}>{children}</Boundary>
      </main>
    </div>
  )
}

function NavLink({ name, isCurrent }: { name: PageName; isCurrent: boolean }) {
  const words = text().shell
  const all = name === 'state' ? (status.value?.alerts ?? []) : []
  const alerts = all.filter(({ severity }) => severity !== 'info')
  const isBad = alerts.some(({ severity }) => severity === 'error')
  return (
    <a class="nav-link" href={hashOf([name])} aria-current={isCurrent ? 'page' : undefined}>
      <Icon name={name as IconName} size={20} />
      <span class="nav-text">{words[name]}</span>
      {alerts.length > 0 ? (
        <span class={`nav-count nav-count-${isBad ? 'error' : 'warning'}`}>
          <span aria-hidden="true">{alerts.length}</span>
          <span class="visually-hidden">{words.alerts(alerts.length)}</span>
        </span>
      ) : null}
    </a>
  )
}

function Who() {
  const who = me.value
  if (who === null) return null
  const words = text().shell
  return (
    <span class="who" title={`${who.name} (${who.id})`}>
      <span class="who-name">{who.name}</span>
      <Badge tone={who.role === 'write' ? 'good' : 'plain'}>
        {who.role === 'write' ? words.mayWrite : words.mayRead}
      </Badge>
    </span>
  )
}

/** Says the other language in that language. */
export function LanguageSwitch() {
  const other = language.value === 'en' ? 'zh' : 'en'
  return (
    <button
      type="button"
      class="button button-quiet language"
      lang={tagOf(other)}
      onClick={() => choose(other)}
    >
      {other === 'zh' ? '中文' : 'English'}
    </button>
  )
}

const NEXT: { [now in Theme]: Theme } = { system: 'light', light: 'dark', dark: 'system' }
const THEME_ICONS: { [now in Theme]: IconName } = { system: 'system', light: 'sun', dark: 'moon' }

export function ThemeSwitch() {
  const words = text().shell
  const now = theme.value
  return (
    <Button
      kind="quiet"
      icon={THEME_ICONS[now]}
      label={words.theme[now]}
      onClick={() => {
        theme.value = NEXT[now]
      }}
    />
  )
}
