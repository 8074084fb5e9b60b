import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { type ApiProblem, asProblem } from '../api/problem.ts'
import { text } from '../text/text.ts'
import { Button } from './button.tsx'
import { Dialog } from './dialog.tsx'
import { ProblemNotice } from './notice.tsx'

type Props = {
  title: string
  children: ComponentChildren
  /** What the button does, as a verb: `Revoke`. */
  action: string
  isDangerous?: boolean
  /** Tells what went wrong, where the API's own words are not the best. */
  describe?(problem: ApiProblem): ComponentChildren
  onConfirm(): Promise<void>
  onClose(): void
}

/** Asks before something that cannot be taken back; what goes wrong is told in the same place. */
export function Confirm(props: Props) {
  const [problem, setProblem] = useState<ApiProblem | null>(null)
  const [isBusy, setBusy] = useState(false)
  const confirm = async () => {
    setBusy(true)
    try {
      await props.onConfirm()
      props.onClose()
    } catch (error) {
      setProblem(asProblem(error))
      setBusy(false)
    }
  }
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <div class="dialog-content">
        {props.children}
        {problem ? (props.describe?.(problem) ?? <ProblemNotice problem={problem} />) : null}
      </div>
      <footer class="dialog-foot">
        <Button onClick={props.onClose}>{text().common.cancel}</Button>
        <Button
          kind={props.isDangerous === false ? 'primary' : 'danger'}
          isBusy={isBusy}
          onClick={confirm}
        >
          {props.action}
        </Button>
      </footer>
    </Dialog>
  )
}
