/** The door of dist/tollgate.js: the names that the files in nginx/tollgate/ call, in request order. */
import { admission, target, verdict } from './edge/gate/door.ts'
import { edited } from './edge/gate/edited.ts'
import { settled } from './edge/gate/line.ts'
import { head, meter } from './edge/gate/meter.ts'

export default { verdict, admission, target, edited, head, meter, settled }
