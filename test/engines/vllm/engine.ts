import { freePort, sleep } from '../../waiting.ts'
import { Asks, MODEL } from '../asks.ts'
import { type Counters, type Engine, readMetrics, type Server } from '../engine.ts'
import { embedding, type Group, generating, stalling } from '../groups.ts'
import { startServer } from '../process.ts'
import { type Installed, install, VERSION } from './setup.ts'

/** On two cores a start takes a minute, and twice that beside other work. */
const START_SECONDS = 300
/** Long enough for some hundred tokens of each stream. */
const STALL_MS = 6_000

/** vLLM on the CPU, with its counters. */
export async function provideVllm(tell: (line: string) => void): Promise<Engine> {
  const installed = await install(tell)
  const tools = ['--enable-auto-tool-choice', '--tool-call-parser', 'hermes']
  const details = ['--enable-prompt-tokens-details']
  const pooling = ['--runner', 'pooling', '--convert', 'embed']
  return {
    name: 'vLLM',
    version: `${VERSION}, its wheel for CPUs`,
    metering: 'exact',
    countsPromptPerChoice: true,
    isQuiet: true,
    roles: [
      { name: 'pooling', start: () => start(installed, 'pooling', pooling), groups: listPooling },
      {
        name: 'generate',
        start: () => start(installed, 'generate', [...tools, ...details]),
        groups: (seed) => [...stalling(seed), ...generating(seed)],
      },
    ],
    remarks: [
      'It counts a prompt once for each of its `n` choices and tells it once: the counter is divided by `n` here.',
      'Its counters are those of the API process. What the engine makes after that has let a request go is in neither column.',
    ],
  }
}

function listPooling(seed: number): Group[] {
  const asks = new Asks(seed)
  const documents = () => Array.from({ length: asks.between(1, 5) }, () => asks.text())
  const score = () => ({ model: MODEL, text_1: asks.text(), text_2: documents() })
  const rerank = () => ({ model: MODEL, query: asks.text(), documents: documents() })
  const scoring = asks.many(8, () =>
    asks.pick({ path: '/v1/score', body: score() }, { path: '/v1/rerank', body: rerank() }),
  )
  return [
    { name: 'score and rerank', asks: scoring, isFinished: true },
    ...embedding(seed, ['float', 'base64', 'bytes']),
  ]
}

async function start(installed: Installed, role: string, more: string[]): Promise<Server> {
  const port = await freePort()
  const command = [
    ...[installed.program, 'serve', installed.model, '--served-model-name', MODEL],
    ...['--host', '127.0.0.1', '--port', `${port}`, '--max-model-len', '4096'],
    ...['--enforce-eager', '--max-num-seqs', '64', ...more],
  ]
  const env = {
    VLLM_CPU_KVCACHE_SPACE: '1',
    VLLM_CPU_OMP_THREADS_BIND: 'nobind',
    OMP_NUM_THREADS: '1',
    // Nothing is asked of the network.
    HF_HUB_OFFLINE: '1',
    VLLM_NO_USAGE_STATS: '1',
    DO_NOT_TRACK: '1',
  }
  const name = `vllm-${role}`
  const started = await startServer({ name, command, env, port, seconds: START_SECONDS })
  return {
    port,
    counters: () => readCounters(port),
    stall: async () => {
      const api = `${installed.python} ${installed.program}`
      started.signal(api, 'SIGSTOP')
      await sleep(STALL_MS)
      started.signal(api, 'SIGCONT')
    },
    crash: () => started.signal('VLLM::EngineCore', 'SIGKILL'),
    stop: started.stop,
  }
}

async function readCounters(port: number): Promise<Counters> {
  const metrics = await readMetrics(port)
  const read = (name: string) => metrics.get(`vllm:${name}`) ?? 0
  return {
    prompt: read('prompt_tokens_total'),
    completion: read('generation_tokens_total'),
    busy: read('num_requests_running') + read('num_requests_waiting'),
  }
}
