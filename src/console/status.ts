import { signal } from '@preact/signals'
import { getStatus } from './api/calls.ts'
import { type ApiProblem, asProblem } from './api/problem.ts'
import type { Status } from './api/types.ts'

/** How the gate is, for every page: alerts in the navigation, and whether anything can be changed. */
export const status = signal<Status | null>(null)
export const statusProblem = signal<ApiProblem | null>(null)

export async function refreshStatus(stopping?: AbortSignal): Promise<void> {
  try {
    status.value = await getStatus(stopping)
    statusProblem.value = null
  } catch (error) {
    if (!stopping?.aborted) statusProblem.value = asProblem(error)
  }
}
