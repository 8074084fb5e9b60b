import type { AdminRoute } from '../../core/admin/routes.ts'
import type { Call, Handler, Reply } from '../../core/admin/types.ts'
import { listAudit } from './audit.ts'
import { getBalance, listBalances } from './balances.ts'
import { changeClient, deleteClient, getClient, listClients, putClient } from './clients.ts'
import { listEnded } from './ended.ts'
import { importAll } from './import.ts'
import { createKey, getKey, revoke, rotateKey } from './keys.ts'
import { metrics } from './metrics.ts'
import { deletePlan, getPlan, listPlans, putPlan } from './plans.ts'
import { getPolicy, putPolicy, validatePolicyBody } from './policy.ts'
import { cutRequest, listRequests } from './running.ts'
import { status } from './status.ts'
import { usage } from './usage.ts'
import { verifyKey } from './verify.ts'

/** Which function answers a route of core/admin/routes.ts. */
export function findHandler(route: AdminRoute): Handler {
  const handlers: { [call: string]: Handler } = {
    'GET /me': me,
    'GET /status': status,
    'GET /clients': listClients,
    'GET /clients/{name}': getClient,
    'PUT /clients/{name}': putClient,
    'PATCH /clients/{name}': changeClient,
    'DELETE /clients/{name}': deleteClient,
    'POST /clients/{name}/keys': createKey,
    'POST /clients/{name}/keys/rotate': rotateKey,
    'GET /clients/{name}/balance': getBalance,
    'GET /keys/{id}': getKey,
    'POST /keys/verify': verifyKey,
    'POST /keys/{id}/revoke': revoke,
    'POST /import': importAll,
    'GET /plans': listPlans,
    'GET /plans/{name}': getPlan,
    'PUT /plans/{name}': putPlan,
    'DELETE /plans/{name}': deletePlan,
    'GET /policy': getPolicy,
    'PUT /policy': putPolicy,
    'POST /policy/validate': validatePolicyBody,
    'GET /balances': listBalances,
    'GET /running': listRequests,
    'GET /requests': listEnded,
    'POST /requests/{id}/cut': cutRequest,
    'GET /usage': usage,
    'GET /audit': listAudit,
    'GET /metrics': metrics,
  }
  return handlers[`${route.method} ${route.path}`] as Handler
}

function me(call: Call): Reply {
  return { status: 200, body: call.who }
}
