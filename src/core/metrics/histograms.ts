/**
 * The histograms, by model. Those of gen_ai have the names and the bounds of OpenTelemetry's semantic
 * conventions, as Prometheus writes them; times are counted in ms here and told in seconds.
 */
export type Histogram = {
  name: string
  help: string
  /** What one told unit is in counted ones: 1000 for seconds. */
  scale: number
  /** Upper bounds, in counted units. What is above the last is counted in one more bucket. */
  bounds: number[]
  labels: { [name: string]: string }
  isByModel: boolean
  /** Where its buckets, and behind them its sum, stand in the numbers of one model. */
  at: number
}

const USAGE = 'gen_ai_client_token_usage'
const USAGE_HELP = 'Tokens of a request, of its prompt (input) and of its answer (output).'
const TOKENS = [
  1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
]

export const DURATION = histogram(
  'gen_ai_server_request_duration_seconds',
  'From the first byte of a request that was passed on to the last of its answer.',
  1000,
  [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240, 20480, 40960, 81920],
)
export const FIRST_TOKEN = histogram(
  'gen_ai_server_time_to_first_token_seconds',
  'From admission to the first piece of an answer that is a stream.',
  1000,
  [1, 5, 10, 20, 40, 60, 80, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000],
)
export const EACH_TOKEN = histogram(
  'gen_ai_server_time_per_output_token_seconds',
  'Time for each token after the first, on average over one stream.',
  1000,
  [10, 25, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 2500],
)
export const INPUT = histogram(USAGE, USAGE_HELP, 1, TOKENS)
export const OUTPUT = histogram(USAGE, USAGE_HELP, 1, TOKENS)
export const ADMISSION = histogram(
  'tollgate_admission_duration_seconds',
  "The gate's own time before a request is passed on or refused.",
  1000,
  [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 25, 50, 100, 250],
)
INPUT.labels['gen_ai_token_type'] = 'input'
OUTPUT.labels['gen_ai_token_type'] = 'output'
ADMISSION.isByModel = false

/** In the order of their numbers. */
export const HISTOGRAMS: Histogram[] = [DURATION, FIRST_TOKEN, EACH_TOKEN, INPUT, OUTPUT, ADMISSION]

/** How many numbers one model has. */
export const NUMBERS = place(HISTOGRAMS)

function histogram(name: string, help: string, scale: number, bounds: number[]): Histogram {
  return { name, help, scale, bounds, labels: {}, isByModel: true, at: 0 }
}

function place(histograms: Histogram[]): number {
  let at = 0
  histograms.forEach((one) => {
    one.at = at
    at += one.bounds.length + 2
  })
  return at
}
