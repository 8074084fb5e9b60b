/** How many series have a color of their own; what is beyond them is drawn together, as the rest. */
export const SERIES_MAX = 7

export type Colors = {
  text: string
  line: string
  accent: string
  second: string
  rest: string
  series: string[]
  /** Of the axes, as a canvas takes it. */
  font: string
}

/** The colors of the scheme in force: a canvas does not follow the style sheet by itself. */
export function readColors(): Colors {
  const style = getComputedStyle(document.documentElement)
  const value = (name: string) => style.getPropertyValue(name).trim()
  return {
    text: value('--muted'),
    line: value('--line'),
    accent: value('--series-1'),
    second: value('--series-2'),
    rest: value('--series-rest'),
    font: `11px ${value('--sans')}`,
    series: Array.from({ length: SERIES_MAX }, (_, i) => value(`--series-${i + 1}`)),
  }
}

/** A color with less of it: `#rrggbb` only, as the style sheet has them. */
export function fade(color: string, alpha: number): string {
  return `${color}${Math.round(alpha * 255)
    .toString(16)
    .padStart(2, '0')}`
}
