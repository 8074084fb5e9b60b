import { writeInclude, writeMap } from './write.ts'

const USUAL = [
  'tollgate_limit_requests',
  'tollgate_remaining_requests',
  'tollgate_reset_requests',
  'tollgate_limit_tokens',
  'tollgate_remaining_tokens',
  'tollgate_reset_tokens',
]

/** What Anthropic's headers repeat of the usual ones. */
const SAME: Record<string, string> = {
  tollgate_limit_requests: 'tollgate_anthropic_requests_limit',
  tollgate_remaining_requests: 'tollgate_anthropic_requests_remaining',
  tollgate_limit_tokens: 'tollgate_anthropic_tokens_limit',
  tollgate_remaining_tokens: 'tollgate_anthropic_tokens_remaining',
}

const ANTHROPIC = [
  'tollgate_anthropic_requests_reset',
  'tollgate_anthropic_tokens_reset',
  ...['input', 'output'].flatMap((kind) =>
    ['limit', 'remaining', 'reset'].map((field) => `tollgate_anthropic_${kind}_tokens_${field}`),
  ),
]

/** The variables of the headers in the order of the text, the map's own first. */
export const LIMIT_VARIABLES = [...USUAL, ...Object.values(SAME), ...ANTHROPIC]

/** limits.conf: what tellLimits() of src/core/limits/refusal.ts has put into one text, as variables. */
export function limitsConf(): string {
  const [first = '', ...others] = USUAL
  const usual = ['([^ ]*)', ...others.map((name) => capture(name))]
  const anthropic = [
    `(?<${SAME[first]}>[^ ]*)`,
    ...others.map((name) => {
      const same = SAME[name]
      return same ? `(?<${same}>${capture(name)})` : capture(name)
    }),
    ...ANTHROPIC.map(capture),
  ]
  return writeInclude('The headers of limits: http level.', [
    '# The limits of a request as one text: tellLimits() in src/core/limits/refusal.ts has its format.\n' +
      'js_var $tollgate_told;',
    writeMap(
      `The variables of the headers in answer.conf. $${first} has to be the first that is asked for, as it is ` +
        'there: with it the text is taken apart, and all others are set. nginx leaves out a header that is empty.',
      '$tollgate_told',
      first,
      [
        ['', ''],
        [`~^${usual.join(' ')}$`, '$1'],
        [`~^${anthropic.join(' ')}$`, '$1'],
      ],
    ),
  ])
}

function capture(name: string): string {
  return `(?<${name}>[^ ]*)`
}
