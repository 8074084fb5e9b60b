// The least that a gate of this shape can cost: nginx calls the same handlers, and they do nothing.
// It is no gate: everything passes. The bench puts it in the place of tollgate.js for the kind `floor`.
function nothing() {}

function empty() {
  return ''
}

function ok() {
  return 'ok'
}

function pass(r) {
  r.internalRedirect('@tollgate')
}

function send(r, data) {
  r.sendBuffer(data)
}

function line() {
  return '{}'
}

export default {
  verdict: ok,
  access: nothing,
  enter: pass,
  client: empty,
  key: empty,
  route: empty,
  edited: empty,
  head: nothing,
  meter: send,
  refusal: empty,
  refuse: nothing,
  outcome: ok,
  ledger: line,
}
