import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { type ApiProblem, asProblem } from './api/problem.ts'
import { refreshStatus } from './status.ts'

export type Loaded<T> = {
  data: T | undefined
  problem: ApiProblem | undefined
  isLoading: boolean
  reload(): void
}

type State<T> = { data: T | undefined; problem: ApiProblem | undefined; isLoading: boolean }

/** What an API answers that is not ready yet: it passes. */
const BUSY = 503
const BUSY_MS = 1000

/** A gate that does not answer is asked again after so long. */
const RETRY_MS = 3000

/**
 * Loads something when the page opens and whenever `key` changes. What was there stays while the next
 * is on its way; a call that was overtaken is dropped.
 */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<State<T>>({
    data: undefined,
    problem: undefined,
    isLoading: true,
  })
  const [turn, setTurn] = useState(0)
  const latest = useRef(load)
  latest.current = load
  // `key` and `turn` say when to load again.
  useEffect(() => {
    const stopping = new AbortController()
    let timer = 0
    setState((before) => ({ ...before, isLoading: true }))
    latest.current(stopping.signal).then(
      (data) => {
        if (stopping.signal.aborted) return
        setState({ data, problem: undefined, isLoading: false })
      },
      (error: unknown) => {
        if (stopping.signal.aborted) return
        const problem = asProblem(error)
        setState((before) => ({ ...before, problem, isLoading: false }))
        if (problem.code === 'unreachable') void refreshStatus()
        else if (problem.status !== BUSY) return
        const pauseMs = problem.status === BUSY ? BUSY_MS : RETRY_MS
        timer = setTimeout(() => setTurn((before) => before + 1), pauseMs)
      },
    )
    return () => {
      stopping.abort()
      clearTimeout(timer)
    }
  }, [key, turn])
  const reload = useCallback(() => setTurn((before) => before + 1), [])
  return { ...state, reload }
}

/** Calls `tick` every so often while the page can be seen; the next only when the last has ended. */
export function usePolling(
  everyMs: number,
  isOn: boolean,
  tick: (signal: AbortSignal) => Promise<void>,
): void {
  const latest = useRef(tick)
  latest.current = tick
  useEffect(() => {
    if (!isOn) return
    const stopping = new AbortController()
    let timer = 0
    let isRunning = false
    const run = async () => {
      clearTimeout(timer)
      if (document.hidden || isRunning) return
      isRunning = true
      const startedMs = performance.now()
      await latest.current(stopping.signal).catch(() => undefined)
      isRunning = false
      if (stopping.signal.aborted) return
      timer = setTimeout(run, Math.max(50, everyMs - (performance.now() - startedMs)))
    }
    const onVisible = () => {
      if (document.hidden) clearTimeout(timer)
      else void run()
    }
    void run()
    document.addEventListener('visibilitychange', onVisible)
    return () => {
      stopping.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', onVisible)
    }
  }, [everyMs, isOn])
}
