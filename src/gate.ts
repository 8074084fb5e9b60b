/** The door of dist/tollgate.js: the names that the files in nginx/tollgate/ call, in request order. */
import { access, enter } from './edge/door.ts'
import { head, meter } from './edge/meter.ts'
import { refusal, refuse } from './edge/refusal.ts'
import { client, edited, key, ledger, outcome, route, verdict } from './edge/variables.ts'

export default {
  verdict,
  access,
  enter,
  client,
  key,
  route,
  edited,
  head,
  meter,
  refusal,
  refuse,
  outcome,
  ledger,
}
