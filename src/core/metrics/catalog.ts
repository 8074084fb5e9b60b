import { HISTOGRAMS } from './histograms.ts'

/** One family of metrics: its name without `_total`, and what it is. docs/metrics.md says more. */
export type Family = { name: string; type: 'counter' | 'gauge' | 'histogram'; help: string }

/** All families, in the order in which they are told. */
export function listFamilies(): Family[] {
  const families = TABLE.split('\n').map((line): Family => {
    const parts = line.split(' ', 2) as ['counter' | 'gauge', string]
    return { type: parts[0], name: parts[1], help: line.slice(parts.join(' ').length + 1) }
  })
  HISTOGRAMS.forEach((one) => {
    if (families.some((family) => family.name === one.name)) return
    families.push({ type: 'histogram', name: one.name, help: one.help })
  })
  return families
}

const TABLE = `counter tollgate_requests Requests that have ended, by how.
counter tollgate_model_requests Requests that have ended and went to a server, by model and how they ended.
counter tollgate_tokens Tokens of requests that have ended; cached ones are among those of the prompt, reasoning among those of the completion.
counter tollgate_cost Cost of requests that have ended, in the unit of the prices in policy.json.
gauge tollgate_requests_in_flight Requests that run now.
gauge tollgate_limit Limits of clients, keys and groups, by their names in clients.json.
gauge tollgate_limit_used How much of a limit is taken: in the last minute, or in flight.
gauge tollgate_budget_limit_tokens Budgets in tokens, of the day or the month.
gauge tollgate_budget_used_tokens Tokens used of a budget in the day or the month that runs.
gauge tollgate_budget_reserved_tokens Tokens that running requests hold of a budget.
gauge tollgate_budget_limit_cost Budgets in cost, of the day or the month, in the unit of the prices.
gauge tollgate_budget_used_cost Cost of a budget that is used in the day or the month that runs.
gauge tollgate_budget_reserved_cost Cost that running requests hold of a budget.
gauge tollgate_locked_out_addresses Addresses that are locked out now, of the first 5,000 that sent bad keys.
gauge tollgate_build_info The versions of what runs; always 1.
gauge tollgate_start_time_seconds Since when these metrics count, Unix time.
gauge tollgate_workers Worker processes of nginx.
gauge tollgate_config_generation How often a configuration was loaded.
gauge tollgate_config_last_load_timestamp_seconds When the running configuration was loaded, Unix time.
gauge tollgate_config_last_load_successful Whether the files as they are now are in force.
gauge tollgate_config_clients Clients of the running configuration.
gauge tollgate_config_keys Keys of the running configuration.
counter tollgate_ledger_lines Lines of the ledger that were added up.
counter tollgate_ledger_skipped_lines Lines of the ledger that could not be read.
gauge tollgate_ledger_behind_bytes Bytes of the ledger that are not added up yet.
gauge tollgate_ledger_problem Whether the ledger cannot be read, or the sums over it not be written.
counter tollgate_housekeeping_errors What housekeeping could not do.
gauge tollgate_housekeeping_last_run_timestamp_seconds When housekeeping was last at work, Unix time.
gauge tollgate_zone_capacity_bytes Size of a zone of shared memory.
gauge tollgate_zone_free_bytes What is left of it, in whole pages.
counter tollgate_requests_unlogged Requests that were settled and that no line of the ledger tells of.
counter tollgate_counters_full How often a limit or budget could not be counted because its zone is full.
counter tollgate_series_dropped How often something is missing here because there are too many series.
gauge tollgate_usage_open_rows Rows of usage over time in the hours and days that are not over.
gauge tollgate_usage_closed_bytes Size of the rows of those that are over.`
