import type { ComponentChildren } from 'preact'
import type { ApiProblem } from '../api/problem.ts'
import { statusProblem } from '../status.ts'
import { text } from '../text/text.ts'
import { Button } from './button.tsx'
import { Icon, type IconName } from './icon.tsx'

export type Tone = 'error' | 'warning' | 'info' | 'good'

const ICONS: { [tone in Tone]: IconName } = {
  error: 'warning',
  warning: 'warning',
  info: 'info',
  good: 'check',
}

type Props = {
  tone: Tone
  title: ComponentChildren
  children?: ComponentChildren
  action?: ComponentChildren
}

/** Something to be known about what stands below it. */
export function Notice({ tone, title, children, action }: Props) {
  return (
    <div class={`notice notice-${tone}`} role={tone === 'error' ? 'alert' : 'status'}>
      <Icon name={ICONS[tone]} />
      <div class="notice-body">
        <p class="notice-title">{title}</p>
        {children}
      </div>
      {action ? <div class="notice-action">{action}</div> : null}
    </div>
  )
}

/** What went wrong, in the words of the API; where it said nothing, in ours. Names the fix if there is one. */
export function ProblemNotice({ problem, onRetry }: { problem: ApiProblem; onRetry?(): void }) {
  const words = text().problem
  // The shell says so on top of every page.
  if (problem.code === 'unreachable' && statusProblem.value?.code === 'unreachable') return null
  const [title, detail] = describeProblem(problem)
  return (
    <Notice
      tone="error"
      title={title}
      action={
        onRetry ? (
          <Button isSmall onClick={onRetry}>
            {words.retry}
          </Button>
        ) : null
      }
    >
      {detail === '' ? null : <p>{detail}</p>}
      {problem.problems.length > 0 ? (
        <ul class="problem-list">
          {problem.problems.map(({ path, message }) => (
            <li key={`${path} ${message}`}>
              {path === '' ? null : <code>{path}</code>} {message}
            </li>
          ))}
        </ul>
      ) : null}
      {problem.code === 'read-only' ? <pre class="command">sudo tollgate admin enable</pre> : null}
    </Notice>
  )
}

function describeProblem(problem: ApiProblem): [string, string] {
  const words = text().problem
  switch (problem.code) {
    case 'unreachable':
      return [words.unreachable, words.unreachableFix]
    case 'read-only':
      return [words.readOnly, words.readOnlyFix]
    case 'console':
      return [words.console, problem.title]
    default:
      return [problem.title, problem.detail]
  }
}
