import type { Problem } from '../../../core/config/shapes.ts'
import type { Alert, Status } from '../../api/types.ts'
import { text } from '../../text/text.ts'
import { Notice } from '../../ui/notice.tsx'

/** What is wrong, errors first, each with its fix: in the chosen language where the console knows it. */
export function Alerts({ now }: { now: Status }) {
  const words = text().state
  return (
    <section class="stack" aria-label={words.alerts}>
      {now.alerts.every(isInfo) ? <Notice tone="good" title={words.fine} /> : null}
      {now.alerts.map((alert) => (
        <OneAlert key={`${alert.code} ${alert.message}`} alert={alert} problems={now.problems} />
      ))}
    </section>
  )
}

/** Nothing is wrong if it is meant so: told below what is, and in a calm color. */
function isInfo({ severity }: Alert): boolean {
  return severity === 'info'
}

function OneAlert({ alert, problems }: { alert: Alert; problems: Problem[] }) {
  const { severity, code, message, fix } = alert
  const known = text().state.known[code as keyof Known]
  const isLoad = code === 'load_failed'
  return (
    <Notice tone={severity} title={known?.title ?? message}>
      {known && !isLoad ? <p>{message}</p> : null}
      {isLoad ? <Problems problems={problems} /> : null}
      <p>{known?.fix || fix}</p>
      {code === 'read_only' ? <pre class="command">sudo tollgate admin enable</pre> : null}
    </Notice>
  )
}

type Known = ReturnType<typeof text>['state']['known']

function Problems({ problems }: { problems: Problem[] }) {
  return (
    <ul class="problem-list">
      {problems.map(({ path, message }) => (
        <li key={`${path} ${message}`}>
          {path ? <code>{path}</code> : null} {message}
        </li>
      ))}
    </ul>
  )
}
