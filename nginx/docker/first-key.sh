#!/bin/sh
# Runs in the service `key` of docker-compose.yml: makes client demo where there is no configuration,
# and lets the workers of nginx, which run as user 101 in the official image, read and write.
set -eu
tollgate="node dist/tollgate-cli.mjs"
nginx_group=101

[ -e /etc/tollgate/policy.json ] || echo '{"version":1,"plans":{"standard":{}}}' > /etc/tollgate/policy.json
if ! $tollgate client show demo --dir /etc/tollgate > /dev/null 2>&1; then
  $tollgate key create demo --dir /etc/tollgate
fi
chown -R 0:$nginx_group /etc/tollgate
chmod 750 /etc/tollgate
# Root opens the ledger there, so the workers write into a folder of their own.
chown 0:$nginx_group /var/lib/tollgate
chmod 750 /var/lib/tollgate
mkdir -p /var/lib/tollgate/state
chown $nginx_group:$nginx_group /var/lib/tollgate/state
