import { problem } from '../../core/admin/problems.ts'
import type { Call, Reply } from '../../core/admin/types.ts'
import { NANOS } from '../../core/limits/cost.ts'
import { PID_LENGTH } from '../../core/limits/counters.ts'
import { isRequestName, markName, type Running, readRunning } from '../../core/running.ts'
import { runningZone } from '../gate/registry.ts'
import { moveEpoch } from '../running/epoch.ts'
import { countRunning, listRunning } from '../running/requests.ts'

type Listed = Running & { id: string; worker: number }

/** GET /running: what is in flight, the oldest first. */
export function listRequests(call: Call): Reply {
  const listed = listRunning(call.nowMs).sort((a, b) => a.atMs - b.atMs)
  const requests = listed.map((one) => show(one, call.nowMs))
  const body = {
    time: new Date(call.nowMs).toISOString(),
    total: countRunning(listed.length),
    requests,
  }
  return { status: 200, body }
}

/** POST /requests/{id}/cut: marks the request for the gate, which ends its stream within a moment. */
export function cutRequest(call: Call): Reply {
  const id = call.params['id'] as string
  const zone = runningZone()
  const name = /^[0-9a-f]{32}$/.test(id) ? findName(id) : null
  const found = name === null ? undefined : zone.get(name)
  if (found === undefined) {
    return problem('unknown-request', 'It has ended, or there was none of this id: see /running')
  }
  try {
    zone.set(markName(id), `${call.nowMs}`)
  } catch (_) {
    return problem('full', 'tollgate_running is full: make it larger in http.conf')
  }
  moveEpoch()
  const running = readRunning(found)
  const before = { client: running.client, key: running.key, route: running.route }
  return {
    status: 202,
    body: { id },
    audit: { action: 'request.cut', target: id, before, after: null },
  }
}

function findName(id: string): string | null {
  const zone = runningZone()
  const names = zone.keys(zone.size())
  const found = names.find((name) => isRequestName(name) && name.slice(PID_LENGTH) === id)
  return found === undefined ? null : found
}

function show(one: Listed, nowMs: number): object {
  const shown: { [name: string]: unknown } = {
    id: one.id,
    worker: one.worker,
    client: one.client,
    key: one.key,
    route: one.route,
    startedAt: new Date(one.atMs).toISOString(),
    remote: one.remote,
  }
  if (one.group !== undefined) shown['group'] = one.group
  if (one.model !== undefined) shown['model'] = one.model
  if (one.stream) shown['stream'] = true
  if (one.promptTokens !== undefined) shown['promptTokens'] = one.promptTokens
  if (one.completionTokens !== undefined) {
    shown['completionTokens'] = one.completionTokens
    // Over all of its time: who asks again and again knows what has come in between.
    const seconds = (nowMs - one.atMs) / 1000
    if (seconds > 0) {
      shown['tokensPerSecond'] = Math.round((one.completionTokens / seconds) * 10) / 10
    }
  }
  if (one.heldTokens !== undefined) shown['heldTokens'] = one.heldTokens
  if (one.heldCost !== undefined) shown['heldCost'] = one.heldCost / NANOS
  return shown
}
