/** The door of dist/tollgate-rare.js: our own pages, which few requests come to. */
import { again } from './edge/rare/again.ts'
import { answer } from './edge/rare/answer.ts'
import { fail, failure, settled, words } from './edge/rare/failure.ts'

export default { again, answer, words, failure, fail, settled }
