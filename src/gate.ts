/** The door of dist/tollgate.js: the names that the files in nginx/tollgate/ call, in request order. */
import { access, admission, again, enter } from './edge/gate/door.ts'
import { head, meter } from './edge/gate/meter.ts'
import { refusal, refuse } from './edge/gate/refusal.ts'
import { client, edited, key, ledger, outcome, route, verdict } from './edge/gate/variables.ts'

export default {
  verdict,
  again,
  access,
  admission,
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
