import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { dateTime, relative, utc } from '../format.ts'
import { Icon, type IconName } from './icon.tsx'

/** The head of a page. It takes the focus when the page was opened by a link, so that it is read first. */
export function PageHead(props: {
  title: ComponentChildren
  lead?: ComponentChildren
  children?: ComponentChildren
}) {
  return (
    <header class="page-head">
      <div class="page-title">
        <h1 tabIndex={-1}>{props.title}</h1>
        {props.lead ? <p class="lead">{props.lead}</p> : null}
      </div>
      {props.children ? <div class="page-actions">{props.children}</div> : null}
    </header>
  )
}

export function Panel(props: {
  title: string
  aside?: ComponentChildren
  children: ComponentChildren
  isFlush?: boolean
}) {
  const id = `panel-${props.title.replace(/\W+/g, '-').toLowerCase() || props.title.length}`
  return (
    <section class={props.isFlush ? 'panel panel-flush' : 'panel'} aria-labelledby={id}>
      <div class="panel-head">
        <h2 id={id}>{props.title}</h2>
        {props.aside ? <div class="panel-aside">{props.aside}</div> : null}
      </div>
      <div class="panel-body">{props.children}</div>
    </section>
  )
}

export function Tile(props: {
  label: string
  value: ComponentChildren
  note?: ComponentChildren
  title?: string
}) {
  return (
    <div class="tile">
      <dt>{props.label}</dt>
      <dd>
        <span class="tile-value" title={props.title}>
          {props.value}
        </span>
        {props.note ? <span class="tile-note">{props.note}</span> : null}
      </dd>
    </div>
  )
}

export function Empty(props: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <span class="empty-icon">
        <Icon name={props.icon} size={26} />
      </span>
      <p class="empty-title">{props.title}</p>
      {props.children}
    </div>
  )
}

/** Where something is going to stand. */
export function Skeleton({ lines = 4, isTall = false }: { lines?: number; isTall?: boolean }) {
  return (
    <div class={isTall ? 'skeleton skeleton-tall' : 'skeleton'} aria-hidden="true">
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} class={`skeleton-line skeleton-line-${line % 3}`} />
      ))}
    </div>
  )
}

export type BadgeTone = 'good' | 'warning' | 'error' | 'plain'

export function Badge({ tone, children }: { tone: BadgeTone; children: ComponentChildren }) {
  return <span class={`badge badge-${tone}`}>{children}</span>
}

/** A time in the zone of the browser; UTC stands behind it, for those who compare it with a log. */
export function Time({ value, isRelative = false }: { value: string; isRelative?: boolean }) {
  const ms = Date.parse(value)
  if (!Number.isFinite(ms)) return <span>–</span>
  const local = dateTime(ms)
  return (
    <time dateTime={value} title={isRelative ? `${local} · ${utc(ms)}` : utc(ms)}>
      {isRelative ? relative(ms, Date.now()) : local}
    </time>
  )
}

/** Puts the focus on the heading when `key` changes, but not when the page comes up first. */
export function useHeadingFocus(key: string): void {
  const before = useRef(key)
  useEffect(() => {
    if (before.current === key) return
    before.current = key
    document.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true })
    scrollTo(0, 0)
  }, [key])
}
