/** What the terminal that is printed to can show. */
export type Screen = {
  /** Columns of it; null where nobody looks at it, and nothing has to be cut. */
  width: number | null
  hasColours: boolean
  /** Blocks for bars, not only ASCII. */
  hasBlocks: boolean
}

/** Asks the terminal and the environment. COLUMNS holds where there is no terminal to ask. */
export function describeScreen(): Screen {
  const { stdout, env } = process
  const asked = Number(env.COLUMNS)
  const width = stdout.isTTY ? stdout.columns : asked > 0 ? asked : null
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || ''
  return {
    width,
    hasColours: stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
    hasBlocks: /utf-?8/i.test(locale),
  }
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** A bar for a share of 0 to 1. Something is shown of what is not nothing. */
export function drawBar(share: number, width: number, screen: Screen): string {
  if (!(share > 0) || width < 1) return ''
  const eighths = Math.max(1, Math.round(Math.min(1, share) * width * 8))
  if (!screen.hasBlocks) return '#'.repeat(Math.max(1, Math.round(eighths / 8)))
  const bar = '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '')
  return screen.hasColours ? `\x1b[36m${bar}\x1b[39m` : bar
}
