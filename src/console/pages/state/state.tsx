import { useEffect } from 'preact/hooks'
import { listAudit } from '../../api/calls.ts'
import type { Status } from '../../api/types.ts'
import { useLoad } from '../../load.ts'
import { refreshStatus, status, statusProblem } from '../../status.ts'
import { text } from '../../text/text.ts'
import { ProblemNotice } from '../../ui/notice.tsx'
import { Empty, PageHead, Panel, Skeleton } from '../../ui/parts.tsx'
import { Alerts } from './alerts.tsx'
import { Audit } from './audit.tsx'
import { Ledger, Load, Versions, Workers, Zones } from './parts.tsx'

const AUDIT_ROWS = 50

/** How the gate is: what is wrong first. */
export function StatePage() {
  const words = text().state
  const now = status.value
  const problem = statusProblem.value
  useEffect(() => void refreshStatus(), [])
  return (
    <>
      <PageHead title={words.title} lead={words.lead} />
      {problem && problem.code !== 'unreachable' ? <ProblemNotice problem={problem} /> : null}
      {now ? <Known now={now} /> : problem ? null : <Skeleton lines={9} isTall />}
      <AuditPanel />
    </>
  )
}

function Known({ now }: { now: Status }) {
  const words = text().state
  return (
    <>
      <Alerts now={now} />
      <div class="columns">
        <Panel title={words.load}>
          <Load now={now} />
        </Panel>
        <Panel title={words.ledger}>
          <Ledger now={now} />
        </Panel>
      </div>
      <div class="columns">
        <Panel title={words.zones}>
          <Zones zones={now.zones} />
        </Panel>
        <div class="stack">
          <Panel title={words.versions}>
            <Versions now={now} />
          </Panel>
          <Panel title={words.workers} isFlush>
            <Workers now={now} />
          </Panel>
        </div>
      </div>
    </>
  )
}

function AuditPanel() {
  const words = text().state
  const audit = useLoad('audit', (signal) => listAudit(AUDIT_ROWS, signal))
  return (
    <Panel title={words.audit} isFlush>
      {audit.problem ? <ProblemNotice problem={audit.problem} onRetry={audit.reload} /> : null}
      {audit.data && audit.data.length > 0 ? <Audit entries={audit.data} /> : null}
      {audit.data?.length === 0 ? (
        <Empty icon="state" title={words.noAudit}>
          <p>{words.noAuditHint}</p>
        </Empty>
      ) : null}
      {audit.isLoading && !audit.data ? <Skeleton lines={5} /> : null}
    </Panel>
  )
}
