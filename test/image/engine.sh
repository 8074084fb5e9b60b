#!/bin/sh
# Sees to it that a Docker engine answers: starts dockerd when none does and it is installed.
#
#   test/image/engine.sh
#
# The engine goes on running after this script; its process id is in the line printed, its log in
# a file named there too. Exit code 0 when an engine answers, 1 when none can be had.
set -eu

fail() {
  echo "engine.sh: $1" >&2
  exit 1
}

engine_version() {
  docker version --format '{{.Server.Version}}' 2>/dev/null
}

command -v docker >/dev/null || fail 'Docker is not installed: install docker.io'
if version=$(engine_version); then
  echo "engine.sh: Docker engine $version answers"
  exit 0
fi
[ -z "${DOCKER_HOST:-}" ] || fail "No Docker engine answers at DOCKER_HOST=$DOCKER_HOST"
command -v dockerd >/dev/null || fail 'No Docker engine answers, and dockerd is not installed: install docker.io'
[ "$(id -u)" = 0 ] || fail 'No Docker engine answers, and only root can start dockerd'

log=$(mktemp "${TMPDIR:-/tmp}/dockerd.XXXXXX")
# In a session of its own, so that it outlives the shell that started this and its Ctrl-C.
setsid dockerd --storage-driver overlay2 >"$log" 2>&1 </dev/null &
pid=$!
seconds=0
while ! version=$(engine_version); do
  kill -0 "$pid" 2>/dev/null || fail "dockerd ended at once: $(tail -n 1 "$log")"
  [ "$seconds" -lt 60 ] || fail "dockerd (process $pid) did not answer within 60 s, its log is $log"
  sleep 1
  seconds=$((seconds + 1))
done
echo "engine.sh: started Docker engine $version (process $pid, log $log)"
