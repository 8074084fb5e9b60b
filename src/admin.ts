/** The door of dist/tollgate-admin.js, which is never loaded where requests flow. */
import { housekeep } from './edge/housekeeping.ts'

export default { housekeep }
