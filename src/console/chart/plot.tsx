import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'

type Props = {
  options: Omit<uPlot.Options, 'width' | 'height'>
  data: uPlot.AlignedData
  height: number
  /** When this changes, the chart is made anew; else only its data. */
  version: string
  label: string
}

/** A chart of uPlot, as wide as its place. What it shows stands in a table or in `label` as well. */
export function Plot({ options, data, height, version, label }: Props) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  // `version` tells when options have changed.
  useEffect(() => {
    const element = place.current
    if (!element) return
    const width = () => Math.max(120, Math.floor(element.clientWidth))
    const made = new uPlot({ ...options, width: width(), height }, data, element)
    plot.current = made
    const observer = new ResizeObserver(() => {
      if (made.width !== width()) made.setSize({ width: width(), height })
    })
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      plot.current = null
    }
  }, [version, height])
  useEffect(() => {
    plot.current?.setData(data)
  }, [data])
  return <div class="plot" ref={place} role="img" aria-label={label} />
}
