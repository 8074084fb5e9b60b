import { computed } from '@preact/signals'
import { canWrite } from './session.ts'
import { status } from './status.ts'
import { text } from './text/text.ts'

/** Why the configuration cannot be changed from here, or null when it can. */
export const whyNotWrite = computed<string | null>(() => {
  if (!canWrite.value) return text().common.needsWrite
  if (status.value?.isWritable === false) return text().common.readOnly
  return null
})

/** Cutting a request changes no file: it needs the role alone. */
export const whyNotCut = computed<string | null>(() =>
  canWrite.value ? null : text().common.needsWrite,
)
