import { NAME_PATTERN } from '../../../core/config/schema.ts'
import type { ApiProblem } from '../../api/problem.ts'
import { text } from '../../text/text.ts'
import { Notice, ProblemNotice } from '../../ui/notice.tsx'

const NAME = new RegExp(NAME_PATTERN)

/** What is wrong with the name of a new client or plan, `missing` where there is none; null when nothing is. */
export function mistakeIn(name: string, missing: string): string | null {
  if (NAME.test(name)) return null
  return name === '' ? missing : text().clients.nameWrong
}

/** Why something new could not be made; `taken`: another one has its name. */
export function CreateProblem({ problem, taken }: { problem: ApiProblem; taken: string }) {
  if (problem.status !== 412) return <ProblemNotice problem={problem} />
  return <Notice tone="error" title={taken} />
}
