import { useEffect, useRef, useState } from 'preact/hooks'
import { getMe } from '../api/calls.ts'
import { type ApiProblem, asProblem } from '../api/problem.ts'
import { beginSession, ending } from '../session.ts'
import { LanguageSwitch, ThemeSwitch } from '../shell.tsx'
import { text } from '../text/text.ts'
import { Button } from '../ui/button.tsx'
import { CopyButton } from '../ui/copy.tsx'
import { TextField } from '../ui/field.tsx'
import { Mark } from '../ui/icon.tsx'
import { Notice, ProblemNotice } from '../ui/notice.tsx'

const COMMAND = 'tollgate admin token create NAME --role write'

/** Asks for an admin token, and says why: also when another one has just been refused. */
export function Login() {
  const words = text().login
  const form = useRef<HTMLFormElement>(null)
  const [token, setToken] = useState('')
  const [error, setError] = useState<string | null>(null)
  const [problem, setProblem] = useState<ApiProblem | null>(null)
  const [isBusy, setBusy] = useState(false)
  useEffect(() => form.current?.querySelector('input')?.focus(), [])
  const submit = async () => {
    const trial = token.trim()
    setProblem(null)
    setError(mistakeIn(trial))
    if (mistakeIn(trial) !== null) return
    setBusy(true)
    try {
      const who = await getMe(trial)
      ending.value = 'none'
      beginSession(trial, who)
    } catch (thrown) {
      const found = asProblem(thrown)
      if (found.status === 401) setError(words.refused)
      else setProblem(found)
      setBusy(false)
      form.current?.querySelector('input')?.focus()
    }
  }
  return (
    <main class="login">
      <div class="login-switches">
        <LanguageSwitch />
        <ThemeSwitch />
      </div>
      <div class="login-card">
        <div class="login-brand">
          <Mark />
          <h1 tabIndex={-1}>Tollgate</h1>
        </div>
        <p class="lead">{words.lead}</p>
        {ending.value === 'refused' ? <Notice tone="warning" title={words.ended} /> : null}
        {ending.value === 'left' ? <Notice tone="good" title={words.left} /> : null}
        <form
          ref={form}
          onSubmit={(event) => {
            event.preventDefault()
            void submit()
          }}
        >
          <TextField
            label={words.token}
            type="password"
            value={token}
            error={error}
            placeholder="tga_…"
            isMono
            onChange={setToken}
          />
          {problem ? <ProblemNotice problem={problem} /> : null}
          <Button kind="primary" type="submit" isBusy={isBusy}>
            {words.enter}
          </Button>
        </form>
        <details class="login-help">
          <summary>{words.none}</summary>
          <div class="stack">
            <p>{words.make}</p>
            <pre class="command command-wrapped">{COMMAND}</pre>
            <CopyButton value={COMMAND} label={text().common.copy} />
            <p class="field-hint">{words.kept}</p>
          </div>
        </details>
      </div>
    </main>
  )
}

/** What can be seen without asking: an empty field, and a key of a client in place of an admin token. */
function mistakeIn(token: string): string | null {
  const words = text().login
  if (token === '') return words.empty
  if (/^tg_/.test(token)) return words.clientKey
  if (!/^[\x21-\x7e]+$/.test(token)) return words.notToken
  return null
}
