/** The door of dist/tollgate.js: the names that the files in nginx/tollgate/ call, in request order. */
import { body } from './edge/gate/body.ts'
import { admission, target, verdict } from './edge/gate/door.ts'
import { settled } from './edge/gate/line.ts'
import { meter } from './edge/gate/meter.ts'

export default { verdict, admission, target, body, meter, settled }
