import { getPolicy } from '../../api/calls.ts'
import { useLoad } from '../../load.ts'
import { text } from '../../text/text.ts'
import { ProblemNotice } from '../../ui/notice.tsx'
import { PageHead, Skeleton } from '../../ui/parts.tsx'
import { PolicyForm } from './form.tsx'

export function PolicyPage() {
  const words = text().policy
  const policy = useLoad('policy', (signal) => getPolicy(signal))
  return (
    <>
      <PageHead title={words.title} lead={words.lead} />
      {policy.problem ? <ProblemNotice problem={policy.problem} onRetry={policy.reload} /> : null}
      {policy.data ? (
        <PolicyForm found={policy.data} />
      ) : policy.isLoading ? (
        <Skeleton lines={12} isTall />
      ) : null}
    </>
  )
}
