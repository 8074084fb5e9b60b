/** The door of dist/tollgate.js: the names that the files in nginx/tollgate/ call, in request order. */
import { access, enter } from './edge/door.ts'
import { meter } from './edge/meter.ts'
import { refusal, refuse } from './edge/refusal.ts'
import { client, key, ledger, outcome, route, verdict } from './edge/variables.ts'

export default {
  verdict,
  access,
  enter,
  client,
  key,
  route,
  meter,
  refusal,
  refuse,
  outcome,
  ledger,
}
