import { useState } from 'preact/hooks'
import { getBalance, getClient } from '../../api/calls.ts'
import type { Fetched } from '../../api/http.ts'
import type { Balance, ClientDetail } from '../../api/types.ts'
import { type Loaded, useLoad, usePolling } from '../../load.ts'
import { whyNotWrite } from '../../permission.ts'
import { hashOf } from '../../route.ts'
import { text } from '../../text/text.ts'
import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { ProblemNotice } from '../../ui/notice.tsx'
import { Badge, Empty, PageHead, Panel, Skeleton } from '../../ui/parts.tsx'
import { SubjectBars } from '../clients/bars.tsx'
import { hasCeilings } from '../grant/ceilings.tsx'
import { CreateKey } from '../keys/create.tsx'
import { RevokeKey, RotateKeys } from '../keys/rotate.tsx'
import { KeyTable, type OwnedKey } from '../keys/table.tsx'
import { DisableButton, RemoveButton } from './actions.tsx'
import { Settings } from './settings.tsx'

/** Bars move while somebody looks. */
const BALANCE_MS = 5000

export function ClientPage({ name }: { name: string }) {
  const words = text().client
  const client = useLoad(`client ${name}`, (signal) => getClient(name, signal))
  const balance = useLoad(`balance ${name}`, (signal) => getBalance(name, signal))
  const found = client.data
  usePolling(BALANCE_MS, found !== undefined, async () => balance.reload())
  const reload = () => {
    client.reload()
    balance.reload()
  }
  return (
    <>
      <a class="back" href="#/clients">
        <Icon name="back" size={16} />
        {text().clients.title}
      </a>
      <PageHead title={<Title name={name} client={found?.body} />} lead={found?.body.note}>
        {found ? (
          <>
            <a class="button button-plain" href={hashOf(['usage'], { by: 'model', client: name })}>
              <Icon name="usage" />
              <span>{words.usage}</span>
            </a>
            <DisableButton found={found} onDone={reload} />
          </>
        ) : null}
      </PageHead>
      {client.problem ? <ProblemNotice problem={client.problem} onRetry={reload} /> : null}
      {found ? (
        <Found found={found} balance={balance} onChanged={reload} />
      ) : client.isLoading ? (
        <Skeleton lines={9} isTall />
      ) : null}
    </>
  )
}

function Title({ name, client }: { name: string; client: ClientDetail | undefined }) {
  const words = text().clients
  return (
    <>
      {name} {client?.disabled ? <Badge tone="error">{words.disabled}</Badge> : null}
      {client?.effective.shadow ? <Badge tone="warning">{words.shadow}</Badge> : null}
    </>
  )
}

type FoundProps = { found: Fetched<ClientDetail>; balance: Loaded<Balance>; onChanged(): void }

function Found({ found, balance, onChanged }: FoundProps) {
  const words = text().client
  return (
    <>
      <Panel title={words.used}>
        {balance.problem ? (
          <ProblemNotice problem={balance.problem} onRetry={balance.reload} />
        ) : null}
        {balance.data ? (
          <Used balance={balance.data} />
        ) : balance.isLoading ? (
          <Skeleton lines={3} />
        ) : null}
      </Panel>
      <Keys found={found} onChanged={onChanged} />
      <Settings found={found} onSaved={onChanged} />
      <Panel title={words.removeTitle}>
        <div class="danger">
          <p>{words.removeHint}</p>
          <RemoveButton found={found} />
        </div>
      </Panel>
    </>
  )
}

function Used({ balance }: { balance: Balance }) {
  const { of } = text().names
  return (
    <div class="subjects">
      {balance.subjects.map((subject) => (
        <div key={`${subject.of} ${subject.name}`} class="subject">
          {balance.subjects.length > 1 ? (
            <h3>
              {of[subject.of]} <code>{subject.name}</code>
            </h3>
          ) : null}
          <SubjectBars subject={subject} />
        </div>
      ))}
    </div>
  )
}

function Keys({ found, onChanged }: { found: Fetched<ClientDetail>; onChanged(): void }) {
  const words = text().keys
  const client = found.body
  const [open, setOpen] = useState<'create' | 'rotate' | OwnedKey | null>(null)
  const rows = client.keys.map((key) => ({ client: client.name, key }))
  const live = client.keys.filter(({ state }) => state === 'live')
  const model = client.effective.models?.find((one) => !one.includes('*'))
  const close = () => setOpen(null)
  return (
    <Panel
      title={words.title}
      isFlush
      aside={
        <>
          {live.length > 0 ? (
            <Button
              isSmall
              icon="rotate"
              whyNot={whyNotWrite.value}
              onClick={() => setOpen('rotate')}
            >
              {words.rotate}
            </Button>
          ) : null}
          <Button
            isSmall
            kind="primary"
            icon="plus"
            whyNot={whyNotWrite.value}
            onClick={() => setOpen('create')}
          >
            {words.create}
          </Button>
        </>
      }
    >
      {rows.length > 0 ? (
        <KeyTable rows={rows} hasClients={false} onRevoke={setOpen} />
      ) : (
        <Empty icon="keys" title={text().client.noKey}>
          <p>{text().client.noKeyHint}</p>
        </Empty>
      )}
      {open === 'create' ? (
        <CreateKey clients={[client.name]} model={model} onDone={onChanged} onClose={close} />
      ) : null}
      {open === 'rotate' ? (
        <RotateKeys
          client={client.name}
          model={model}
          hasOwn={live.some(hasCeilings)}
          onDone={onChanged}
          onClose={close}
        />
      ) : null}
      {open !== null && typeof open === 'object' ? (
        <RevokeKey row={open} onDone={onChanged} onClose={close} />
      ) : null}
    </Panel>
  )
}
