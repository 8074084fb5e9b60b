/** The door of dist/tollgate.js: the names that the files in nginx/tollgate/ call, in request order. */
import { admission, body, meter, settled, target, verdict } from './edge/gate/quick.ts'

export default { verdict, admission, target, body, meter, settled }
