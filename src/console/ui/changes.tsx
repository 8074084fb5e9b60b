import type { Change } from '../changes.ts'
import { text } from '../text/text.ts'

/** What was changed, each field on a line: from what to what. */
export function ChangeList({ changes }: { changes: Change[] }) {
  const none = text().common.none
  return (
    <ul class="changes">
      {changes.map(({ path, before, after }) => (
        <li key={path}>
          {path === '' ? null : <code class="changes-path">{path}</code>}{' '}
          <del>{shown(before) ?? none}</del> <span aria-hidden="true">→</span>{' '}
          <ins>{shown(after) ?? none}</ins>
        </li>
      ))}
    </ul>
  )
}

const LENGTH_MAX = 120

function shown(json: string | undefined): string | undefined {
  if (json === undefined || json.length <= LENGTH_MAX) return json
  return `${json.slice(0, LENGTH_MAX)}…`
}
