#!/bin/sh
# Runs in the service `key` of docker-compose.yml: makes client demo and Prometheus' token where there is
# no configuration, and lets the workers of nginx, user 101 in the official image, read and write.
set -eu
tollgate="node dist/tollgate-cli.mjs"
nginx_group=101

[ -e /etc/tollgate/policy.json ] || echo '{"version":1,"plans":{"standard":{}}}' > /etc/tollgate/policy.json
if ! $tollgate client show demo --dir /etc/tollgate > /dev/null 2>&1; then
  $tollgate key create demo --dir /etc/tollgate
fi
# Prometheus' token: it may read, and only the user of the official image (nobody) can read the file.
token=/run/tollgate/token
if [ ! -s $token ] || ! grep -q '"prometheus"' /etc/tollgate/policy.json; then
  (umask 077 && $tollgate admin token create prometheus --role read --dir /etc/tollgate --json |
    node -e 'process.stdout.write(JSON.parse(fs.readFileSync(0, "utf8")).token)' > $token)
  chown 65534:65534 $token
  chmod 400 $token
fi
chown -R 0:$nginx_group /etc/tollgate
chmod 750 /etc/tollgate
# Root opens the ledger there, so the workers write into a folder of their own.
chown 0:$nginx_group /var/lib/tollgate
chmod 750 /var/lib/tollgate
mkdir -p /var/lib/tollgate/state
chown $nginx_group:$nginx_group /var/lib/tollgate/state
