import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import type { Route } from './routes.ts'
import type { Settings } from './settings.ts'

/** What the handling of every request of one mock shares. */
export type Shared = {
  settings: Settings
  apiKey: string | undefined
  routes: Map<string, Route>
  log: Log
  clock: Clock
}
