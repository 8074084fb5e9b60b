#!/bin/sh
# Makes a container image from Debian packages, where none can be pulled: nginx with njs, Node, or
# Prometheus, each laid out as the official one as far as docker-compose.yml needs it.
#
#   test/image/make.sh SUITE IMAGE [KIND] [--force]          KIND is nginx (default), node or prometheus
#   test/image/make.sh forky tollgate-test/nginx:forky
#   test/image/make.sh trixie tollgate-test/node:trixie node
#
# An image that is there is kept; --force makes it anew. The packages come from the mirror in
# TOLLGATE_DEBIAN_MIRROR, else from the one this machine's apt uses. Needs mmdebstrap and a Docker
# engine. Exit code 0 with the image in place, 1 when something is missing or failed, 2 on wrong use.
set -eu

fail() {
  echo "make.sh: $1" >&2
  exit "${2:-1}"
}

usage='Usage: make.sh SUITE IMAGE [nginx|node|prometheus] [--force]'
suite=${1:-}
image=${2:-}
case $suite in
  forky | trixie) ;;
  *) fail "Suite must be forky or trixie, not \"$suite\". $usage" 2 ;;
esac
[ -n "$image" ] || fail "No image name. $usage" 2
shift 2
kind=nginx
case ${1:-} in
  nginx | node | prometheus)
    kind=$1
    shift
    ;;
esac
force=${1:-}
[ "${force:---force}" = --force ] || fail "Unknown option $force. $usage" 2

command -v docker >/dev/null || fail 'Docker is not installed: install docker.io'
docker version --format '{{.Server.Version}}' >/dev/null 2>&1 ||
  fail 'No Docker engine answers: start one, as test/image/engine.sh does'
if [ -z "$force" ] && docker image inspect "$image" >/dev/null 2>&1; then
  echo "make.sh: $image is there already"
  exit 0
fi
command -v mmdebstrap >/dev/null || fail 'mmdebstrap is not installed: install mmdebstrap'
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || fail "$keyring is missing: install debian-archive-keyring"

mirror=${TOLLGATE_DEBIAN_MIRROR:-}
if [ -z "$mirror" ]; then
  # Security updates live at an address of their own, which has no other suites.
  mirror=$(apt-get indextargets --format '$(ORIGIN)|$(CREATED_BY)|$(SUITE)|$(REPO_URI)' |
    awk -F'|' '$1 == "Debian" && $2 == "Packages" && $3 !~ /security|backports/ { print $4; exit }')
fi
[ -n "$mirror" ] ||
  fail 'No Debian mirror known: run apt-get update, or name one in TOLLGATE_DEBIAN_MIRROR'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Nothing is installed, only unpacked, so what the packages' own scripts would do is done here.
cat >"$work/finish" <<'FINISH'
#!/bin/sh
set -eu
kind=$1
cd "$2"
mkdir -p etc tmp run
chmod 1777 tmp
printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'www-data:x:33:33::/var/www:/usr/sbin/nologin' \
  'nginx:x:101:101::/nonexistent:/usr/sbin/nologin' \
  'nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin' >etc/passwd
printf '%s\n' 'root:x:0:' 'www-data:x:33:' 'nginx:x:101:' 'nogroup:x:65534:' >etc/group
case $kind in
  nginx)
    mkdir -p var/www/html var/log/nginx var/lib/nginx etc/nginx/conf.d \
      etc/nginx/modules-enabled etc/nginx/sites-enabled
    ln -sf /usr/share/nginx/modules-available/mod-http-js.conf \
      etc/nginx/modules-enabled/50-mod-http-js.conf
    ln -sf /etc/nginx/sites-available/default etc/nginx/sites-enabled/default
    cp usr/share/nginx/html/index.html var/www/html/
    # The logs go where a container's logs go.
    ln -sf /dev/stdout var/log/nginx/access.log
    ln -sf /dev/stderr var/log/nginx/error.log
    ;;
  prometheus)
    mkdir -p prometheus
    chown 65534:65534 prometheus
    ;;
esac
rm -rf var/cache/apt var/lib/apt/lists usr/share/doc usr/share/man usr/share/locale
FINISH
chmod +x "$work/finish"

# How docker starts it, and what tells its version then.
set -- --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
case $kind in
  nginx)
    packages=nginx,libnginx-mod-http-js
    version_command='nginx -v'
    set -- "$@" --change 'EXPOSE 80' --change 'CMD ["nginx", "-g", "daemon off;"]'
    ;;
  node)
    packages=nodejs,grep
    version_command='node --version'
    set -- "$@" --change 'CMD ["node"]'
    ;;
  prometheus)
    packages=prometheus
    version_command=--version
    set -- "$@" --change 'ENTRYPOINT ["/usr/bin/prometheus"]' --change 'USER nobody' \
      --change 'WORKDIR /prometheus' --change 'VOLUME ["/prometheus"]' --change 'EXPOSE 9090'
    ;;
esac

echo "make.sh: making $image from Debian $suite packages (about half a minute)"
# dash and coreutils, because container tools look inside with a shell.
mmdebstrap --quiet --variant=extract --format=tar --keyring="$keyring" \
  --include="$packages,dash,coreutils,base-files" \
  --aptopt='Acquire::Check-Valid-Until "false"' \
  --extract-hook="$work/finish $kind \"\$1\"" \
  "$suite" "$work/root.tar" "$mirror" || fail "mmdebstrap could not unpack Debian $suite"
docker import "$@" --change "LABEL tollgate.suite=$suite" "$work/root.tar" "$image" >/dev/null ||
  fail "docker could not import $image"
# shellcheck disable=SC2086  # the words of a command
version=$(docker run --rm --network none "$image" $version_command 2>&1) ||
  fail "$kind does not start in $image: $version"
echo "make.sh: $image is ready ($(echo "$version" | head -n 1))"
