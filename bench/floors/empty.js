// The least that a gate of this shape can cost: nginx calls the same handlers, and they do nothing.
// It is no gate: everything passes. The bench puts it in the place of tollgate.js for the kind `floor`,
// and behind the gate's own code, which is then not called, for the kind `padded`: hence names that no
// minifier gives.
function doNothing() {}

function saysNothing() {
  return ''
}

function saysOk() {
  return 'ok'
}

function passesOn(r) {
  r.internalRedirect('@tollgate')
}

function sendsOn(r, data) {
  r.sendBuffer(data)
}

function writesLine() {
  return '{}'
}

export default {
  verdict: saysOk,
  admission: saysOk,
  access: doNothing,
  enter: passesOn,
  client: saysNothing,
  key: saysNothing,
  route: saysNothing,
  edited: saysNothing,
  head: doNothing,
  meter: sendsOn,
  refusal: saysNothing,
  refuse: doNothing,
  outcome: saysOk,
  ledger: writesLine,
}
