import { problem } from '../../core/admin/problems.ts'
import type { AdminRoute } from '../../core/admin/routes.ts'
import type { Call, Handler, Reply } from '../../core/admin/types.ts'
import { metrics } from './metrics.ts'
import { status } from './status.ts'
import { usage } from './usage.ts'

/** Which function answers a route of core/admin/routes.ts. */
export function findHandler(route: AdminRoute): Handler {
  const handlers: { [call: string]: Handler } = {
    'GET /me': me,
    'GET /status': status,
    'GET /usage': usage,
    'GET /metrics': metrics,
  }
  return handlers[`${route.method} ${route.path}`] || notBuilt
}

function me(call: Call): Reply {
  return { status: 200, body: call.who }
}

function notBuilt(call: Call): Reply {
  return problem('not-built', `${call.method} ${call.path}`)
}
