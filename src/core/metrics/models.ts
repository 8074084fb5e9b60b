import { OTHER } from '../usage/rows.ts'

/** So many have series of their own by a server's word, and as many more by the policy's. */
export const MODELS_MAX = 100

/** Whose word made a model one that has series of its own. */
export type Word = 'server' | 'policy'

/** The models that have series of their own, and the names that the policy knows. */
export type KnownModels = {
  has(model: string): boolean
  count(by: Word): number
  add(model: string, by: Word): void
  isOfPolicy(model: string): boolean
}

/**
 * Under which name a model is counted. What a caller has written is a model when a server has answered
 * under that name, or the policy has it: else ten thousand invented ones would leave no room for those
 * that there are. Some servers answer under any name that they are asked for, so that those of the
 * policy have room of their own; and one that prices hundreds leaves theirs to the servers.
 */
export function labelModel(known: KnownModels, model: string, isSaid: boolean): string {
  if (model === '' || known.has(model)) return model
  const isOfPolicy = known.isOfPolicy(model)
  if (isOfPolicy && begin(known, model, 'policy')) return model
  if (isSaid && begin(known, model, 'server')) return model
  return isOfPolicy || isSaid ? OTHER : ''
}

function begin(known: KnownModels, model: string, by: Word): boolean {
  if (known.count(by) >= MODELS_MAX) return false
  known.add(model, by)
  return true
}
