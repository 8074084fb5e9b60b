import { problem } from '../../core/admin/problems.ts'
import type { Call, Reply } from '../../core/admin/types.ts'
import { describeUsage } from '../../core/usage/answer.ts'
import { closedFile, parseRows } from '../../core/usage/file.ts'
import {
  groupRows,
  isCovered,
  isWanted,
  parseUsageQuery,
  type UsageGroups,
  type UsageQuery,
} from '../../core/usage/query.ts'
import type { Rows, Windows } from '../../core/usage/rows.ts'
import { giveWay } from '../giveway.ts'
import { isChanging, readCursor } from '../ledger/sums.ts'
import { zoneInForce } from '../timezone.ts'
import { readPages } from '../usage/closedfile.ts'
import { type RowsState, readRow, readRowNames, readRowsState } from '../usage/rows.ts'

/** Open rows are of one moment: they are read again when they change meanwhile, so often at most. */
const TRIES = 20

/** GET /usage: sums by client, key, group, model, hour or day. The ledger is not read for it. */
export async function usage(call: Call): Promise<Reply> {
  const cursor = readCursor()
  const zone = cursor ? cursor.zoneMinutes : zoneInForce()
  const query = parseUsageQuery(call.query, call.nowMs, zone)
  if (typeof query === 'string') return problem('bad-parameter', query)
  const groups = await readUsage(call, query)
  return { status: 200, body: describeUsage(query, groups) }
}

async function readUsage(call: Call, query: UsageQuery): Promise<UsageGroups> {
  const groups: UsageGroups = { groups: {}, count: 0, isPartial: false }
  const cursor = readCursor()
  // In the first moments after a start not all of them are there.
  if (!cursor || cursor.restoreAt >= 0 || cursor.rowsRestoreAt >= 0) groups.isPartial = true
  const open = await readOpen(call, query)
  if (!open) return groups
  if (!isCovered(query, open.state.sinceMs, call.nowMs)) groups.isPartial = true
  groupRows(groups, query, open.windows)
  // What is closed meanwhile stands behind what was valid then.
  await readClosed(call, query, open.state, groups)
  return groups
}

async function readClosed(
  call: Call,
  query: UsageQuery,
  state: RowsState,
  groups: UsageGroups,
): Promise<void> {
  const path = `${call.places.stateDir}/${closedFile(state.closed.slot)}`
  let from = 0
  while (from >= 0) {
    const windows: Windows = {}
    let bad = 0
    from = readPages(path, from, state.closed.bytes, (page, piece) => {
      if (!isWanted(query, page.window, call.nowMs)) return
      bad += parseRows(piece.toString('utf8', page.start, page.end), windows)
    })
    if (bad > 0) groups.isPartial = true
    groupRows(groups, query, windows)
    await giveWay()
  }
}

/**
 * The open rows and their state. In one go, so that no row is closed in between: rows of an hour and a
 * day are 20,000 at most, which takes 60 ms.
 */
async function readOpen(
  call: Call,
  query: UsageQuery,
): Promise<{ state: RowsState; windows: Windows } | null> {
  for (let i = 1; ; i++) {
    const state = readRowsState()
    if (!state) return null
    const windows: Windows = {}
    Object.keys(state.windows).forEach((window) => {
      if (isWanted(query, window, call.nowMs)) windows[window] = readWindow(state, window)
    })
    // Another worker may be in the middle of a change.
    const after = readRowsState()
    const isSame = after !== null && after.moves === state.moves && !isChanging()
    if (isSame || i === TRIES) return { state, windows }
    await giveWay()
  }
}

function readWindow(state: RowsState, window: string): Rows {
  const rows: Rows = {}
  const pages = (state.windows[window] as [number, number])[1]
  for (let page = 0; page < pages; page++) {
    readRowNames(window, page).forEach((name) => {
      const sums = readRow(window, name)
      if (sums !== undefined) rows[name] = JSON.parse(sums)
    })
  }
  return rows
}
