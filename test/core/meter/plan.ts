import type { MeterPlan } from '../../../src/core/meter/meter.ts'

/** The plan of a usual chat, but for what is given. */
export function planOf(plan: Partial<MeterPlan>): MeterPlan {
  return {
    route: 'chat',
    taken: 'nothing',
    choices: 1,
    prompts: 1,
    wantsUsage: false,
    mayUse: null,
    ...plan,
  }
}
