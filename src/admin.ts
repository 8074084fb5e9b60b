/** The door of dist/tollgate-admin.js, which is never loaded where requests flow. */
import { api, showStatus } from './edge/admin/api.ts'
import { housekeep } from './edge/housekeeping.ts'

export default { housekeep, api, showStatus }
