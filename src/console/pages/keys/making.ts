import { useState } from 'preact/hooks'
import { type ApiProblem, asProblem } from '../../api/problem.ts'
import type { NewKey } from '../../api/types.ts'
import { type Closing, useClosing } from './closing.ts'

/** A dialog that makes a key and then shows it, once: how far it is. */
export type Making = {
  made: NewKey | null
  problem: ApiProblem | null
  isBusy: boolean
  closing: Closing
  submit(): Promise<void>
}

export function useMaking(
  make: () => Promise<NewKey>,
  onDone: () => void,
  onClose: () => void,
): Making {
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<ApiProblem | null>(null)
  const [made, setMade] = useState<NewKey | null>(null)
  const closing = useClosing(made?.key !== undefined, onClose)
  const submit = async () => {
    setBusy(true)
    setProblem(null)
    try {
      setMade(await make())
      onDone()
    } catch (error) {
      setProblem(asProblem(error))
    }
    setBusy(false)
  }
  return { made, problem, isBusy, closing, submit }
}
