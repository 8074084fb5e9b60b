import { useEffect, useState } from 'preact/hooks'
import { text } from '../text/text.ts'
import { Button } from './button.tsx'

type Props = {
  value: string
  label: string
  kind?: 'primary' | 'plain' | 'quiet'
  onCopied?(): void
}

/** Copies, and says for two seconds that it has. */
export function CopyButton({ value, label, kind = 'plain', onCopied }: Props) {
  const [isCopied, setCopied] = useState(false)
  useEffect(() => {
    if (!isCopied) return
    const timer = setTimeout(() => setCopied(false), 2000)
    return () => clearTimeout(timer)
  }, [isCopied])
  const copy = async () => {
    const isDone = await copyText(value)
    setCopied(isDone)
    if (isDone) onCopied?.()
  }
  const words = text().common
  return (
    <span class="copy">
      <Button isSmall kind={kind} icon={isCopied ? 'check' : 'copy'} onClick={copy}>
        {isCopied ? words.copied : label}
      </Button>
      <span class="visually-hidden" role="status">
        {isCopied ? words.copied : ''}
      </span>
    </span>
  )
}

/** The browser's clipboard is there on https and loopback only; elsewhere the older way does. */
async function copyText(value: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(value)
    return true
  } catch {
    const area = document.createElement('textarea')
    area.value = value
    const place = document.querySelector('dialog[open]') ?? document.body
    place.append(area)
    area.select()
    const isDone = document.execCommand('copy')
    area.remove()
    return isDone
  }
}
