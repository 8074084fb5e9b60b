import type { Budgets, Limits } from '../config/shapes.ts'
import type { CounterKind } from './counters.ts'

/** A budget by its name. */
export type BudgetName = Exclude<keyof Budgets, 'hard'>

/** What is counted, over what time, and what of it: the letter of its counter stands in counters.ts. */
type Counted<Name, Kind, Unit, Per> = {
  name: Name
  kind: Kind
  unit: Unit
  per: Per
  /** What moves it, for people: the description in the schemas. */
  description: string
}

export type LimitRow = Counted<
  keyof Limits,
  'q' | 't' | 'i' | 'o' | 'f',
  'requests' | 'tokens' | 'input tokens' | 'output tokens',
  'minute' | 'flight'
>
export type BudgetRow = Counted<BudgetName, CounterKind, 'tokens' | 'cost', 'day' | 'month'>

/**
 * Every limit there is. Schemas, words, standings, metrics and the console are made of these rows; listChecks() in
 * check.ts and fieldOf() in refusal.ts are straight code, since a table costs every request, and a test holds them to it.
 */
export const LIMITS: readonly LimitRow[] = [
  {
    name: 'requestsPerMinute',
    kind: 'q',
    unit: 'requests',
    per: 'minute',
    description: 'Requests in a sliding minute',
  },
  {
    name: 'tokensPerMinute',
    kind: 't',
    unit: 'tokens',
    per: 'minute',
    description: 'Prompt and completion tokens together, in a sliding minute',
  },
  {
    name: 'inputTokensPerMinute',
    kind: 'i',
    unit: 'input tokens',
    per: 'minute',
    description: 'Prompt tokens in a sliding minute',
  },
  {
    name: 'outputTokensPerMinute',
    kind: 'o',
    unit: 'output tokens',
    per: 'minute',
    description: 'Completion tokens in a sliding minute',
  },
  {
    name: 'concurrency',
    kind: 'f',
    unit: 'requests',
    per: 'flight',
    description: 'Requests in flight',
  },
]

/** Every budget. Cost is counted in nano-units, see cost.ts. */
export const BUDGETS: readonly BudgetRow[] = [
  {
    name: 'tokensPerDay',
    kind: 'd',
    unit: 'tokens',
    per: 'day',
    description: 'Tokens in a calendar day of timeZone',
  },
  {
    name: 'tokensPerMonth',
    kind: 'm',
    unit: 'tokens',
    per: 'month',
    description: 'Tokens in a calendar month of timeZone',
  },
  {
    name: 'costPerDay',
    kind: 'D',
    unit: 'cost',
    per: 'day',
    description: 'Cost in a calendar day of timeZone, in the unit of the prices',
  },
  {
    name: 'costPerMonth',
    kind: 'M',
    unit: 'cost',
    per: 'month',
    description: 'Cost in a calendar month of timeZone, in the unit of the prices',
  },
]
