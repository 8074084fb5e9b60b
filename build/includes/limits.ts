import { writeInclude, writeMap } from './write.ts'

const USUAL = [
  'tg_req_limit',
  'tg_req_left',
  'tg_req_reset',
  'tg_tok_limit',
  'tg_tok_left',
  'tg_tok_reset',
]

/** What Anthropic's headers repeat of the usual ones. */
const SAME: Record<string, string> = {
  tg_req_limit: 'tg_a_req_limit',
  tg_req_left: 'tg_a_req_left',
  tg_tok_limit: 'tg_a_tok_limit',
  tg_tok_left: 'tg_a_tok_left',
}

const ANTHROPIC = [
  'tg_a_req_reset',
  'tg_a_tok_reset',
  ...['in', 'out'].flatMap((kind) =>
    ['limit', 'left', 'reset'].map((field) => `tg_a_${kind}_${field}`),
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
      'js_var $tg_told;',
    writeMap(
      `The variables of the headers in answer.conf. $${first} has to be the first that is asked for, as it is ` +
        'there: with it the text is taken apart, and all others are set. nginx leaves out a header that is empty.',
      '$tg_told',
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
