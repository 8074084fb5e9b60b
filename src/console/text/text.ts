import { client } from './client.ts'
import { clients } from './clients.ts'
import { common, problem } from './common.ts'
import { keys } from './keys.ts'
import { language } from './language.ts'
import { names } from './names.ts'
import { now } from './now.ts'
import { plans } from './plans.ts'
import { policy } from './policy.ts'
import { login, shell } from './shell.ts'
import { state } from './state.ts'
import { usage } from './usage.ts'

/**
 * Every text of the console. Each area is one file with both languages side by side, where the second has
 * the type of the first: what is missing in it does not compile.
 */
const TABLE = {
  common,
  problem,
  shell,
  login,
  names,
  now,
  usage,
  clients,
  client,
  keys,
  plans,
  policy,
  state,
}

type Table = typeof TABLE
type Words = { [area in keyof Table]: Table[area]['en'] }

const WORDS: { en: Words; zh: Words } = {
  en: mapAreas((area) => TABLE[area].en),
  zh: mapAreas((area) => TABLE[area].zh),
}

/** The texts of the chosen language. Called while drawing, so that a switch draws anew. */
export function text(): Words {
  return WORDS[language.value]
}

function mapAreas(wordsOf: (area: keyof Table) => unknown): Words {
  const areas = Object.keys(TABLE) as (keyof Table)[]
  return Object.fromEntries(areas.map((area) => [area, wordsOf(area)])) as Words
}
