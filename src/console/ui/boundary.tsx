import type { ComponentChildren } from 'preact'
import { useErrorBoundary } from 'preact/hooks'
import { text } from '../text/text.ts'
import { Button } from './button.tsx'
import { Notice } from './notice.tsx'

/** Keeps a mistake in one page from taking the others with it: navigation and log-out stay in use. */
export function Boundary({ children }: { children: ComponentChildren }) {
  const [error, reset] = useErrorBoundary((thrown) => console.error(thrown))
  if (error === undefined) return <>{children}</>
  const words = text().problem
  return (
    <Notice
      tone="error"
      title={words.console}
      action={
        <Button isSmall onClick={reset}>
          {words.retry}
        </Button>
      }
    >
      <p>{error instanceof Error ? error.message : String(error)}</p>
    </Notice>
  )
}
