// The least that adding up the ledger can cost, in the place of tollgate-admin.js: each line is read,
// its sums of client and key are added to what stands in a zone, and so is its row of the hour and of the
// day, and one counter for the metrics. It keeps no budget, follows no rotation, forgets all that it was
// doing when a worker dies, and writes nothing to the disk but how many lines it has added up.
import fs from 'fs'

// As much at once as the gate's housekeeping takes.
const PORTION_BYTES = 65536

function housekeep(session) {
  const cursor = ngx.shared['tollgate_metrics']
  const stateDir = session.variables['tollgate_state_dir']
  const path = session.variables['tollgate_ledger_file']
  const size = fs.existsSync(path) ? fs.statSync(path).size : 0
  let at = cursor.get('at') || 0
  if (size <= at) return
  while (at < size) at += addPortion(path, at)
  cursor.set('at', at)
  const lines = cursor.get('lines')
  fs.writeFileSync(`${stateDir}/state.json`, JSON.stringify({ ledger: { lines } }))
}

function addPortion(path, at) {
  const text = readFrom(path, at)
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  const sums = {}
  const rows = {}
  const counts = {}
  let lines = 0
  whole.split('\n').forEach((one) => {
    if (one === '') return
    const line = JSON.parse(one)
    const hour = Math.floor(line.at / 3600)
    const used = [1, line.promptTokens || 0, line.completionTokens || 0, line.cost || 0]
    lines++
    add(sums, `client:${line.client}`, used)
    add(sums, `key:${line.key}`, used)
    add(rows, `h${hour}\t${line.client}\t${line.key}\t${line.model}`, used)
    add(rows, `d${Math.floor(hour / 24)}\t${line.client}\t${line.key}\t${line.model}`, used)
    const name = `${line.client}\t${line.route}\t${line.outcome}`
    counts[name] = (counts[name] || 0) + 1
  })
  addAll(ngx.shared['tollgate_balance'], sums)
  addAll(ngx.shared['tollgate_usage'], rows)
  const metrics = ngx.shared['tollgate_metrics']
  Object.keys(counts).forEach((name) => {
    metrics.incr(name, counts[name], 0)
  })
  metrics.incr('lines', lines, 0)
  return Buffer.byteLength(whole)
}

function readFrom(path, at) {
  const file = fs.openSync(path, 'r')
  const buffer = Buffer.alloc(PORTION_BYTES)
  const length = fs.readSync(file, buffer, 0, PORTION_BYTES, at)
  fs.closeSync(file)
  return buffer.toString('utf8', 0, length)
}

function add(sums, name, used) {
  const kept = sums[name]
  if (kept) addTo(kept, used)
  else sums[name] = used.slice()
}

function addAll(zone, sums) {
  Object.keys(sums).forEach((name) => {
    const kept = zone.get(name)
    if (kept === undefined) zone.set(name, JSON.stringify(sums[name]))
    else zone.set(name, JSON.stringify(addTo(JSON.parse(kept), sums[name])))
  })
}

function addTo(sums, used) {
  for (let i = 0; i < used.length; i++) sums[i] += used[i]
  return sums
}

function nothing() {
  return ''
}

export default { housekeep, api: nothing, showStatus: nothing }
