/** Line icons on a grid of 24, drawn for this page. */
const PATHS = {
  now: 'M3 12h4l3-8 4 16 3-8h4',
  usage: 'M4 20V11M10 20V4M16 20v-6M21 20H3',
  clients:
    'M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM2 21c0-4 3-6.5 7-6.5s7 2.5 7 6.5M16 3.3a4 4 0 0 1 0 7.4M18 15c2.6.7 4 2.8 4 6',
  keys: 'M8 18a5 5 0 1 0 0-10 5 5 0 0 0 0 10ZM11.5 9.5 20 3M16 6l3 3.5',
  plans: 'M12 3 2.500 8 12 13l9.500-5zM2.500 12.500 12 17.500l9.500-5M2.500 17 12 22l9.500-5',
  policy: 'M6 3h9l4 4v14H6zM14 3v5h5M9 13h7M9 17h5',
  state: 'M12 3 4 6v6c0 5 3.5 8 8 9 4.5-1 8-4 8-9V6zM9 12l2.2 2.200L15.5 10',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.400M17.6 17.6 19 19M5 19l1.4-1.400M17.6 6.4 19 5',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5Z',
  system: 'M3 5h18v11H3zM8 20h8M12 16v4',
  leave: 'M14 4H5v16h9M10 12h11M17 8l4 4-4 4',
  language: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM3 12h18M12 3c3 3 3 15 0 18M12 3c-3 3-3 15 0 18',
  plus: 'M12 5v14M5 12h14',
  search: 'M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM15.5 15.5 21 21',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  check: 'M4 12.5 9.5 18 20 6.5',
  cross: 'M5 5l14 14M19 5 5 19',
  warning: 'M12 3 2 20h20zM12 10v4M12 17v.5',
  info: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 11v5M12 8v.5',
  rotate: 'M20 6v5h-5M4 18v-5h5M19.5 11A8 8 0 0 0 6 7M4.5 13A8 8 0 0 0 18 17',
  download: 'M12 4v11M7 11l5 5 5-5M4 20h16',
  pause: 'M8 5v14M16 5v14',
  play: 'M7 4v16l13-8z',
  stop: 'M6 6h12v12H6z',
  back: 'M15 5l-7 7 7 7',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 14h10l1-14M10 11v6M14 11v6',
} as const

export type IconName = keyof typeof PATHS

/** An icon beside a text that says the same, or inside a button that has a name. */
export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  )
}

/** The gate's own mark: a barrier that opens. */
export function Mark() {
  return (
    <svg class="mark" width="28" height="28" viewBox="0 0 32 32" aria-hidden="true">
      <rect class="mark-ground" width="32" height="32" rx="8" />
      <path class="mark-post" d="M8 25V12M5 26h22" />
      <path class="mark-bar" d="M8 12.5 25 8" />
    </svg>
  )
}
