import { useState } from 'preact/hooks'

/** How a dialog with a secret is closed. */
export type Closing = {
  /** Closes it, or warns first: when the secret has not been copied yet. */
  close(): void
  isWarning: boolean
  noteCopied(): void
}

/** A secret that was not copied is lost with its dialog: the first attempt to close only warns. */
export function useClosing(hasSecret: boolean, onClose: () => void): Closing {
  const [isCopied, setCopied] = useState(false)
  const [isWarning, setWarning] = useState(false)
  const close = () => {
    if (!hasSecret || isCopied || isWarning) onClose()
    else setWarning(true)
  }
  const noteCopied = () => {
    setCopied(true)
    setWarning(false)
  }
  return { close, isWarning, noteCopied }
}
