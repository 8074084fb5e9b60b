import type uPlot from 'uplot'

export type TipRow = { color: string; name: string; value: string }
export type Tip = { title: string; rows: TipRow[]; total?: TipRow }

/** A plugin that shows what stands under the pointer. Texts go in as text, never as markup. */
export function tooltip(describe: (column: number) => Tip | null): uPlot.Plugin {
  const box = document.createElement('div')
  box.className = 'tip'
  box.hidden = true
  return {
    hooks: {
      init: (plot) => {
        plot.over.append(box)
        plot.over.addEventListener('pointerleave', () => {
          box.hidden = true
        })
      },
      setCursor: (plot) => {
        const { idx, left } = plot.cursor
        const tip = typeof idx === 'number' ? describe(idx) : null
        box.hidden = tip === null || left === undefined || left < 0
        if (tip === null || typeof idx !== 'number') return
        fill(box, tip)
        const at = plot.valToPos(plot.data[0][idx] ?? 0, 'x')
        const isRight = at > plot.over.clientWidth / 2
        box.style.left = isRight ? 'auto' : `${at + 14}px`
        box.style.right = isRight ? `${plot.over.clientWidth - at + 14}px` : 'auto'
      },
    },
  }
}

function fill(box: HTMLElement, tip: Tip): void {
  const title = document.createElement('p')
  title.className = 'tip-title'
  title.textContent = tip.title
  box.replaceChildren(title, ...tip.rows.map((row) => line(row, 'tip-row')))
  if (tip.total) box.append(line(tip.total, 'tip-row tip-total'))
}

function line({ color, name, value }: TipRow, className: string): HTMLElement {
  const row = document.createElement('p')
  row.className = className
  const dot = document.createElement('span')
  dot.className = 'dot'
  dot.style.background = color
  const label = document.createElement('span')
  label.textContent = name
  const number = document.createElement('span')
  number.className = 'tip-value'
  number.textContent = value
  row.append(dot, label, number)
  return row
}
