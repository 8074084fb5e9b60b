import fs from 'fs'
import { dayOf } from '../../core/time.ts'
import { openFile, type UsageHead } from '../../core/usage/file.ts'
import { readHead } from '../ledger/balancefile.ts'
import { note, setProblem } from '../ledger/notices.ts'
import { type Cursor, changeTogether } from '../ledger/sums.ts'
import { appendPage, compactSome } from './closedfile.ts'
import { hasClosedRows, readOpenRows, writeOpenRows } from './openfile.ts'
import {
  addToRows,
  clearRows,
  dropPage,
  findClosable,
  keepRowsState,
  type RowsState,
  readRowsState,
} from './rows.ts'

/**
 * Begins with the rows that belong to a balance.json: the open ones are read in the next steps. Where
 * they are not there, rows begin anew, and nothing else does: a budget must not suffer from them.
 */
export function beginRows(
  stateDir: string,
  cursor: Cursor,
  head: UsageHead | undefined,
  nowMs: number,
): void {
  const state = clearRows(nowMs, nowMs)
  state.compactedDay = dayOf(nowMs, cursor.zoneMinutes)
  if (head && hasClosedRows(stateDir, head)) {
    cursor.usage = head
    cursor.rowsRestoreAt = 0
    state.sinceMs = head.sinceMs
    state.closed = { slot: head.closed, stamp: head.closedStamp, bytes: head.closedBytes }
    state.openSlot = head.open
    state.keptSlot = head.closed
  } else note(cursor, head ? lost('they are not there') : 'Usage over time begins now')
  keepRowsState(state)
}

function lost(why: string): string {
  return `Usage over time begins anew, because its files cannot be read (${why}): stop nginx and run tollgate ledger rebuild to have it back`
}

/** Takes some more open rows out of their file. */
export function restoreRows(stateDir: string, cursor: Cursor, nowMs: number): boolean {
  try {
    const found = readOpenRows(stateDir, cursor.usage as UsageHead, cursor.rowsRestoreAt)
    changeTogether(cursor, () => {
      const state = readRowsState() as RowsState
      addToRows(state, found.windows)
      keepRowsState(state)
      cursor.rowsRestoreAt = found.next
      if (found.next < 0) cursor.usage = null
    })
  } catch (error) {
    loseRows(cursor, (error as Error).message, nowMs)
  }
  return true
}

function loseRows(cursor: Cursor, why: string, nowMs: number): void {
  const state = clearRows(nowMs, nowMs)
  state.compactedDay = dayOf(nowMs, cursor.zoneMinutes)
  keepRowsState(state)
  cursor.rowsRestoreAt = -1
  cursor.usage = null
  cursor.isChanged = true
  note(cursor, lost(why))
}

/** Before balance.json is written: which files does the one on the disk name? */
export function startWrite(balance: string, cursor: Cursor, nowMs: number): void {
  const state = readRowsState() as RowsState
  const found = readHead(balance)
  const named = found !== null && found !== 'bad' ? found.head.usage : undefined
  if (named) {
    state.openSlot = named.open
    keepRowsState(state)
  }
  cursor.rowsWriteAt = 0
  cursor.rowsStamp = Math.max(nowMs, cursor.rowsStamp + 1)
}

/** Writes some more of the open rows. */
export function writeRows(stateDir: string, cursor: Cursor): void {
  const state = readRowsState() as RowsState
  cursor.rowsWriteAt = writeOpenRows(stateDir, state, cursor.rowsStamp, cursor.rowsWriteAt)
}

/** Gives the room back that an unfinished file takes. */
export function dropRows(stateDir: string): void {
  const state = readRowsState() as RowsState
  try {
    fs.writeFileSync(`${stateDir}/${openFile(1 - state.openSlot)}`, '')
  } catch (_) {
    // The disk does not even take that.
  }
}

/**
 * Moves a page of rows whose window is over into the file of closed ones, or, once a day, leaves out of
 * that what is too old. Whether there may be more to do.
 */
export function tidyRows(stateDir: string, cursor: Cursor, nowMs: number): boolean {
  const state = readRowsState() as RowsState
  try {
    const hasDone = compact(stateDir, cursor, state, nowMs) || close(stateDir, cursor, state, nowMs)
    setProblem(cursor, 'rowsProblem', null)
    if (hasDone) cursor.isChanged = true
    return hasDone
  } catch (error) {
    const code = (error as { code?: string }).code
    if (code === undefined || code === 'ENOENT') {
      loseRows(cursor, (error as Error).message, nowMs)
    } else {
      const why = (error as Error).message
      setProblem(cursor, 'rowsProblem', `Cannot write closed rows of usage: ${why}`)
    }
    return false
  }
}

function compact(stateDir: string, cursor: Cursor, state: RowsState, nowMs: number): boolean {
  const today = dayOf(nowMs, cursor.zoneMinutes)
  if (!state.compact && state.compactedDay >= today) return false
  if (state.closed.bytes > 0) {
    // The other file may be the one that balance.json names: then it has to be written first.
    if (state.keptSlot !== state.closed.slot) return false
    compactSome(stateDir, state, nowMs, cursor.zoneMinutes)
  }
  if (!state.compact) state.compactedDay = today
  keepRowsState(state)
  return true
}

function close(stateDir: string, cursor: Cursor, state: RowsState, nowMs: number): boolean {
  const window = findClosable(state, nowMs, cursor.zoneMinutes)
  if (window === null) return false
  const bytes = appendPage(stateDir, state, window)
  changeTogether(cursor, () => {
    state.closed.bytes = bytes
    dropPage(state, window)
    state.moves++
    keepRowsState(state)
  })
  return true
}
