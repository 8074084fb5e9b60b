/** Tells a person at a terminal how far a long reading is. */
export type Progress = {
  /** More bytes have been read. */
  advance(bytes: number): void
  /** Takes the bar away, before anything else is printed. */
  end(): void
}

const PATIENCE_MS = 500
const REDRAW_MS = 100
const BAR_WIDTH = 24
const MEGABYTE = 1e6

/** A bar on stderr, if that is a terminal and the reading takes longer than half a second. */
export function showProgress(bytesTotal: number): Progress {
  const startMs = performance.now()
  let bytes = 0
  let drawnMs = startMs + PATIENCE_MS - REDRAW_MS
  let isDrawn = false
  const isShown = process.stderr.isTTY === true
  return {
    advance(more) {
      bytes += more
      const nowMs = performance.now()
      if (!isShown || nowMs - drawnMs < REDRAW_MS) return
      drawnMs = nowMs
      isDrawn = true
      const width = process.stderr.columns ?? 80
      const line = describeProgress(bytes, bytesTotal, nowMs - startMs)
      process.stderr.write(`\r${line.slice(0, width - 1)}\x1b[K`)
    },
    end() {
      if (isDrawn) process.stderr.write('\r\x1b[K')
      isDrawn = false
    },
  }
}

/** ` 45 % [##########              ]  1.2 of 2.7 GB, 310 MB/s, 5 s left`. */
export function describeProgress(bytes: number, bytesTotal: number, elapsedMs: number): string {
  const share = bytesTotal > 0 ? Math.min(1, bytes / bytesTotal) : 1
  const percent = String(Math.floor(share * 100)).padStart(3)
  const bar = '#'.repeat(Math.floor(share * BAR_WIDTH)).padEnd(BAR_WIDTH)
  const perSecond = bytes / (elapsedMs / 1000)
  const left = Math.ceil((bytesTotal - bytes) / perSecond)
  const [done, total] = [bytes / MEGABYTE, bytesTotal / MEGABYTE].map((value) => value.toFixed(0))
  const rate = (perSecond / MEGABYTE).toFixed(0)
  return `${percent} % [${bar}] ${done} of ${total} MB, ${rate} MB/s, ${left} s left`
}
