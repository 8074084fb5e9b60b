import { limitsConf } from './includes/limits.ts'
import { refusalsConf, refusedConf } from './includes/refusals.ts'
import { routesConf } from './includes/routes.ts'

/**
 * The includes of nginx that are made from the tables of src/core, by their names below nginx/tollgate/.
 * They are checked in, so that everybody sees what nginx is told; a test holds them to the tables.
 */
export function makeIncludes(): Record<string, string> {
  return {
    'routes.conf': routesConf(),
    'limits.conf': limitsConf(),
    'refusals.conf': refusalsConf(),
    'refused.conf': refusedConf(),
  }
}
