// The least that a gate of this shape can cost: nginx calls the same handlers, and they do nothing.
// It is no gate: everything passes. The bench puts it in the place of tollgate.js for the kind `floor`,
// and behind the gate's own code, which is then not called, for the kind `padded`: hence names that no
// minifier gives.
function saysOk() {
  return 'ok'
}

function passesOn(r) {
  return r.requestBuffer || ''
}

function sendsOn(r, data) {
  r.sendBuffer(data)
}

function writesLine() {
  return '"outcome":"ok"'
}

export default {
  verdict: saysOk,
  admission: saysOk,
  target: saysOk,
  body: passesOn,
  meter: sendsOn,
  settled: writesLine,
}
