import { useId, useState } from 'preact/hooks'
import type { NewKey } from '../../api/types.ts'
import { status } from '../../status.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { CopyButton } from '../../ui/copy.tsx'
import { TextField } from '../../ui/field.tsx'
import { Notice } from '../../ui/notice.tsx'
import { Time } from '../../ui/parts.tsx'
import { Segments } from '../../ui/segments.tsx'
import type { Closing } from './closing.ts'
import { type SnippetKind, snippetOf } from './snippet.ts'

const STORE = 'tollgate.gate'
const GATE_PORT = 8001

type Props = { made: NewKey; model?: string | undefined; closing: Closing }

/** The key, once, with what its owner can paste. */
export function Secret({ made, model, closing }: Props) {
  const words = text().keys
  const id = useId()
  const [typed, setTyped] = useState(rememberedGate())
  const known = status.value?.gateUrl ?? null
  const gate = known ?? typed
  const [kind, setKind] = useState<SnippetKind>('curl')
  const secret = made.key ?? ''
  const snippet = snippetOf(kind, gate, secret, model ?? 'MODEL')
  if (made.key === undefined) return <Notice tone="warning" title={words.noSecret(made.id)} />
  return (
    <>
      <div class="dialog-content">
        <Notice tone="info" title={words.once}>
          <p>{words.onceHint(made.client)}</p>
        </Notice>
        <div class="secret">
          <label for={id}>{words.secret}</label>
          <div class="secret-line">
            <input
              id={id}
              class="mono"
              readOnly
              value={secret}
              data-autofocus=""
              onFocus={(event) => event.currentTarget.select()}
            />
            <CopyButton
              kind="primary"
              value={secret}
              label={words.copyKey}
              onCopied={closing.noteCopied}
            />
          </div>
          {made.expiring?.length ? <Expiring made={made} /> : null}
        </div>
        <div class="snippet">
          <div class="snippet-head">
            <Segments
              label={words.snippet}
              value={kind}
              options={[
                ['curl', 'curl'],
                ['python', 'Python'],
                ['javascript', 'JavaScript'],
              ]}
              onChange={(one) => setKind(one)}
            />
            <CopyButton value={snippet} label={words.copySnippet} onCopied={closing.noteCopied} />
          </div>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable */}
          <pre class="command" tabIndex={0}>
            {snippet}
          </pre>
          {known === null ? (
            <TextField
              label={words.gate}
              hint={words.gateHint}
              value={typed}
              onChange={(value) => {
                setTyped(value)
                localStorage.setItem(STORE, value)
              }}
            />
          ) : null}
        </div>
        {closing.isWarning ? <Notice tone="warning" title={words.notCopied} /> : null}
      </div>
      <footer class="dialog-foot">
        <Button onClick={closing.close}>{closing.isWarning ? words.loseIt : words.done}</Button>
      </footer>
    </>
  )
}

function Expiring({ made }: { made: NewKey }) {
  const words = text().keys
  return (
    <ul class="plain-list">
      {(made.expiring ?? []).map(({ id, expires, revoked }) => (
        <li key={id}>
          <code>{id}</code> {words.oldEnds} <Time value={revoked ?? expires ?? ''} />
        </li>
      ))}
    </ul>
  )
}

/** A guess where the policy does not say it: as this page is reached, at the gate's usual port. */
function rememberedGate(): string {
  const host = location.hostname.includes(':') ? `[${location.hostname}]` : location.hostname
  return localStorage.getItem(STORE) || `http://${host}:${GATE_PORT}`
}
