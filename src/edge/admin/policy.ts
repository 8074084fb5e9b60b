import { describeChange } from '../../core/admin/change.ts'
import { refuseAll } from '../../core/admin/clients.ts'
import { checkCondition } from '../../core/admin/etag.ts'
import { hasAdmins, readPolicyBody } from '../../core/admin/policies.ts'
import { showPolicy } from '../../core/admin/present.ts'
import { problem } from '../../core/admin/problems.ts'
import { conditionOf, refusal } from '../../core/admin/replies.ts'
import type { Call, Reply } from '../../core/admin/types.ts'
import { reasonOf } from '../../core/config/edits.ts'
import { replace } from '../../core/config/replace.ts'
import { checkUnder, editPolicy } from '../config/policystore.ts'
import { checkPolicy } from '../config/sound.ts'
import { readPolicy } from '../config/store.ts'
import { tagged } from './clients.ts'
import { etagOf } from './hash.ts'

/** GET /policy. */
export function getPolicy(call: Call): Reply {
  const policy = readPolicy(call.places.dir)
  if ('status' in policy) return policy
  const shown = showPolicy(policy)
  return tagged(200, shown, shown)
}

/** PUT /policy. */
export async function putPolicy(call: Call): Promise<Reply> {
  if (hasAdmins(call.body)) return refuseAdmins()
  const result = await editPolicy(call.places.dir, async (before) => {
    const refused = checkCondition(conditionOf(call), etagOf(showPolicy(before)))
    if (refused) return refused
    const read = readPolicyBody(call.body, before)
    if ('refused' in read) return read
    const problems = await checkPolicy(read.policy)
    return problems.length > 0 ? refuseAll(problems) : replace(read, { before })
  })
  if ('status' in result) return result
  if ('refused' in result) return refusal(result, 'unknown-path')
  const shown = showPolicy(result.policy)
  const audit = describeChange('policy.replace', 'policy', result.before, result.policy)
  return Object.assign(tagged(200, shown, shown), { audit })
}

/** POST /policy/validate: what PUT would find wrong. */
export async function validatePolicyBody(call: Call): Promise<Reply> {
  if (hasAdmins(call.body)) return refuseAdmins()
  const current = readPolicy(call.places.dir)
  if ('status' in current) return current
  const read = readPolicyBody(call.body, current)
  if ('refused' in read) return { status: 200, body: { problems: reasonOf(read).problems || [] } }
  const own = await checkPolicy(read.policy)
  if (own.length > 0) return { status: 200, body: { problems: own } }
  const problems = await checkUnder(call.places.dir, current, read.policy)
  return 'status' in problems ? problems : { status: 200, body: { problems } }
}

function refuseAdmins(): Reply {
  const how = 'tollgate admin token create, list and revoke, on the host'
  return problem('bad-request', `admins cannot be changed here: ${how}`)
}
