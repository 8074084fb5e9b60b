import { NANOS } from '../limits/cost.ts'
import { addHistograms, addText, escapeLabel, type Samples } from './text.ts'

/** The numbers of histograms, by their models, whose names have a dot before them. */
export type Models = { [model: string]: number[] }

/**
 * Adds some of the counters that stand in the zone `tollgate_metrics`, see series.ts; those of histograms
 * go into `models`. Of tens of thousands, so that the text is put together at once.
 */
export function addCounters(samples: Samples, models: Models, entries: [string, number][]): void {
  entries.forEach((entry) => {
    const names = entry[0].split('\t')
    if (names.length < 2) return
    const label = (at: number) => escapeLabel(names[at] || '')
    const value = entry[1]
    switch (names[0]) {
      case 'r':
        addText(
          samples,
          'tollgate_requests',
          `{client="${label(1)}",route="${label(2)}",outcome="${label(3)}",status="${label(4)}"} ${value}\n`,
        )
        break
      case 'p':
        addText(
          samples,
          'tollgate_model_requests',
          `{model="${label(1)}",outcome="${label(2)}",status="${label(3)}"} ${value}\n`,
        )
        break
      case 't':
        addText(
          samples,
          'tollgate_tokens',
          `{client="${label(1)}",model="${label(2)}",kind="${label(3)}"} ${value}\n`,
        )
        break
      case 'c':
        addText(samples, 'tollgate_cost', `{client="${label(1)}"} ${value / NANOS}\n`)
        break
      case 'h': {
        const model = `.${names[2] || ''}`
        const numbers = models[model] || []
        models[model] = numbers
        numbers[Number(names[1])] = value
        break
      }
    }
  })
}

/** Adds what the counters of histograms come to. There is one without a model. */
export function addModels(samples: Samples, models: Models): void {
  models['.'] = models['.'] || []
  addHistograms(samples, models)
}
