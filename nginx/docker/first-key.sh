#!/bin/sh
# Runs in the service `key` of docker-compose.yml at every start: makes what is missing of the folders, the
# configuration, client demo, and Prometheus' token.
set -eu
tollgate="node dist/tollgate-cli.mjs"
state=/var/lib/tollgate
config=$state/config
# The workers of nginx, as user and as group: 101 in the official image.
nginx=101

# The other containers have users of their own, which read these too: a umask of 077 would keep them out.
for path in dist dist/console dist/console/index.html nginx/observability/prometheus.yml; do
  case $(stat -c %A $path) in
    ???????r??) ;;
    *)
      echo "The containers cannot read $path: chmod -R go+rX dist nginx" >&2
      exit 1
      ;;
  esac
done

# Root opens the ledger there, so the workers write into folders of their own.
chown 0:$nginx $state
chmod 750 $state
mkdir -p $state/state
chown $nginx:$nginx $state/state
# Theirs only when it is whole, since nothing that root does in it before may be led elsewhere.
if [ ! -d $config ]; then
  rm -rf $config.new
  mkdir -m 700 $config.new
  echo '{"version":1,"plans":{"standard":{}}}' > $config.new/policy.json
  chown -R 0:$nginx $config.new
  chmod 640 $config.new/policy.json
  chmod 2770 $config.new
  mv $config.new $config
fi

if $tollgate client show demo > /dev/null 2>&1; then
  echo 'Client demo has its key. Another one: docker compose run --rm tollgate key create demo'
else
  $tollgate key create demo
fi

# It may read, and only the user of Prometheus' official image (nobody) can read the file.
token=/run/tollgate/token
if [ ! -s $token ] || ! $tollgate admin token list --json | grep -q '"prometheus"'; then
  (umask 077 && $tollgate admin token create prometheus --role read --json |
    node -e 'process.stdout.write(JSON.parse(fs.readFileSync(0, "utf8")).token)' > $token)
fi
chown 65534:65534 $token
chmod 400 $token
