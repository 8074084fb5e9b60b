/** How a request ended. The list is closed: what is not in it does not happen. */
export type Outcome =
  | 'ok'
  | 'unknown_route'
  | 'missing_key'
  | 'invalid_key'
  | 'expired_key'
  | 'revoked_key'
  | 'ambiguous_key'
  | 'client_disabled'
  | 'address_denied'
  | 'scope_denied'
  | 'model_denied'
  | 'invalid_body'
  | 'parameter_denied'
  | 'bad_request'
  | 'body_too_large'
  | 'locked_out'
  | 'rate_limited'
  | 'budget_spent'
  | 'cut_revoked'
  | 'cut_budget'
  | 'cut_operator'
  | 'cut_unread'
  | 'client_aborted'
  | 'upstream_aborted'
  | 'upstream_unavailable'
  | 'upstream_error'
  | 'starting'
  | 'gate_error'

/** Outcomes that answer the caller with an error of the gate's own. */
export type Refusal = Exclude<
  Outcome,
  | 'ok'
  | 'cut_revoked'
  | 'cut_budget'
  | 'cut_operator'
  | 'cut_unread'
  | 'client_aborted'
  | 'upstream_aborted'
  | 'upstream_error'
>

/** What the caller is told: the status, and the words of both dialects. */
export type Told = {
  status: number
  /** OpenAI's `code`, by which programs decide. */
  code: string
  /** OpenAI's `type`. */
  type: string
  /** Anthropic's `error.type`. */
  anthropicType: string
  message: string
}

/** OpenAI's word for a spent budget, as code and as type. */
const QUOTA = 'insufficient_quota'

/**
 * What the caller is told of a refusal. Unknown, expired and revoked keys get one text, so that
 * nobody learns which keys exist; the log has the outcome itself.
 */
export function tell(refusal: Refusal): Told {
  switch (refusal) {
    case 'unknown_route':
      return told(
        404,
        'unknown_route',
        'not_found_error',
        'Unknown route: the path is not served here',
      )
    case 'missing_key':
      return told(
        401,
        'missing_key',
        'authentication_error',
        'No API key: send the header Authorization: Bearer <key>',
      )
    case 'invalid_key':
    case 'expired_key':
    case 'revoked_key':
      return told(401, 'invalid_api_key', 'authentication_error', 'Incorrect API key provided')
    case 'ambiguous_key':
      return told(
        401,
        'ambiguous_key',
        'authentication_error',
        'Two different API keys in one request: send one',
      )
    case 'client_disabled':
      return told(403, refusal, 'permission_error', 'This client is disabled')
    case 'address_denied':
      return told(403, refusal, 'permission_error', 'This key may not be used from your address')
    case 'scope_denied':
      return told(403, refusal, 'permission_error', 'This key may not use this route')
    case 'model_denied':
      return told(403, refusal, 'permission_error', 'This key may not use the model')
    case 'invalid_body':
      return told(400, refusal, 'invalid_request_error', 'The request body is not valid')
    case 'parameter_denied':
      return told(
        400,
        refusal,
        'invalid_request_error',
        'A parameter of the request is not allowed',
      )
    case 'bad_request':
      return told(400, refusal, 'invalid_request_error', 'The request could not be read')
    case 'body_too_large':
      return told(413, refusal, 'request_too_large', 'The request body is too large')
    case 'locked_out':
      return told(429, refusal, 'rate_limit_error', 'Too many incorrect API keys: wait, then retry')
    case 'rate_limited':
      return told(429, 'rate_limit_exceeded', 'rate_limit_error', 'Rate limit reached: retry later')
    case 'budget_spent':
      return told(429, QUOTA, 'rate_limit_error', 'The budget is spent')
    case 'upstream_unavailable':
      return told(503, refusal, 'api_error', 'The model server cannot be reached: retry later')
    case 'starting':
      return told(503, refusal, 'api_error', 'The gate is starting: retry in a moment')
    case 'gate_error':
      return told(500, refusal, 'api_error', 'The gate could not decide over this request')
    default:
      return unreachable(refusal)
  }
}

/** OpenAI's `type` is invalid_request_error for what the caller can mend, else its own word. */
function told(status: number, code: string, anthropicType: string, message: string): Told {
  const type =
    code === QUOTA
      ? code
      : status === 429
        ? 'requests'
        : status >= 500
          ? 'server_error'
          : 'invalid_request_error'
  return { status, code, type, anthropicType, message }
}

function unreachable(refusal: never): Told {
  throw new Error(`Unknown refusal ${refusal}`)
}
