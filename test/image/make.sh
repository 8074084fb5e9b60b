#!/bin/sh
# Makes a container image with nginx and njs from Debian packages, where none can be pulled.
#
#   test/image/make.sh SUITE IMAGE [--force]
#   test/image/make.sh forky tollgate-test/nginx:forky
#
# An image that is there is kept; --force makes it anew. The packages come from the mirror in
# TOLLGATE_DEBIAN_MIRROR, else from the one this machine's apt uses. Needs mmdebstrap and a Docker
# engine. Exit code 0 with the image in place, 1 when something is missing or failed, 2 on wrong use.
set -eu

fail() {
  echo "make.sh: $1" >&2
  exit "${2:-1}"
}

suite=${1:-}
image=${2:-}
force=${3:-}
case $suite in
  forky | trixie) ;;
  *) fail "Suite must be forky or trixie, not \"$suite\". Usage: make.sh SUITE IMAGE [--force]" 2 ;;
esac
[ -n "$image" ] || fail 'No image name. Usage: make.sh SUITE IMAGE [--force]' 2
[ "${force:---force}" = --force ] || fail "Unknown option $force" 2

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

# Nothing is installed, only unpacked, so what the packages' own scripts would do is done here, and
# the logs go where a container's logs go.
cat >"$work/finish" <<'FINISH'
#!/bin/sh
set -eu
cd "$1"
mkdir -p etc tmp run var/www/html var/log/nginx var/lib/nginx etc/nginx/conf.d \
  etc/nginx/modules-enabled etc/nginx/sites-enabled
chmod 1777 tmp
printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'www-data:x:33:33::/var/www:/usr/sbin/nologin' \
  'nginx:x:101:101::/nonexistent:/usr/sbin/nologin' \
  'nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin' >etc/passwd
printf '%s\n' 'root:x:0:' 'www-data:x:33:' 'nginx:x:101:' 'nogroup:x:65534:' >etc/group
ln -sf /usr/share/nginx/modules-available/mod-http-js.conf \
  etc/nginx/modules-enabled/50-mod-http-js.conf
ln -sf /etc/nginx/sites-available/default etc/nginx/sites-enabled/default
cp usr/share/nginx/html/index.html var/www/html/
ln -sf /dev/stdout var/log/nginx/access.log
ln -sf /dev/stderr var/log/nginx/error.log
rm -rf var/cache/apt var/lib/apt/lists usr/share/doc usr/share/man usr/share/locale
FINISH
chmod +x "$work/finish"

echo "make.sh: making $image from Debian $suite packages (about half a minute)"
# dash and coreutils, because container tools look inside with a shell.
mmdebstrap --quiet --variant=extract --format=tar --keyring="$keyring" \
  --include=nginx,libnginx-mod-http-js,dash,coreutils,base-files \
  --aptopt='Acquire::Check-Valid-Until "false"' \
  --extract-hook="$work/finish \"\$1\"" \
  "$suite" "$work/root.tar" "$mirror" || fail "mmdebstrap could not unpack Debian $suite"
docker import \
  --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'EXPOSE 80' \
  --change "LABEL tollgate.suite=$suite" \
  --change 'CMD ["nginx", "-g", "daemon off;"]' \
  "$work/root.tar" "$image" >/dev/null || fail "docker could not import $image"
version=$(docker run --rm --network none "$image" nginx -v 2>&1) ||
  fail "nginx does not start in $image: $version"
echo "make.sh: $image is ready ($version)"
