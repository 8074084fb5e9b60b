import type { Refusal } from './outcome.ts'

/** A record, so that an outcome that refuses and is missing here is an error of types. */
const REFUSALS: Record<Refusal, true> = {
  unknown_route: true,
  missing_key: true,
  invalid_key: true,
  expired_key: true,
  revoked_key: true,
  ambiguous_key: true,
  client_disabled: true,
  address_denied: true,
  scope_denied: true,
  model_denied: true,
  invalid_body: true,
  parameter_denied: true,
  bad_request: true,
  body_too_large: true,
  locked_out: true,
  rate_limited: true,
  budget_spent: true,
  upstream_unavailable: true,
  starting: true,
  gate_error: true,
}

/**
 * Every outcome that answers the caller with an error of the gate's own, for those who list them. It
 * stands apart for the same reason as routes.ts.
 */
export function listRefusals(): Refusal[] {
  return Object.keys(REFUSALS) as Refusal[]
}
