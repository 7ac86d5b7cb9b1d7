#!/usr/bin/env bash
# Installs what some test suites drive: Debian packages, and the official SDK. Nothing else needs them; the server runs
# without.
set -euo pipefail

packages=(
  golang-go golang-golang-x-mod-dev # verifies the audit log
  prometheus # scrapes the server; promtool checks metrics and rules
  chromium # opens the console
  nginx haproxy # stand in front of the server
  nats-server # carries messages between relays
  docker-compose # reads docker-compose.yml
  openssl # makes certificates
  systemd # systemd-analyze
  postgresql # pg_dump and pg_restore, and a server of their version
  python3-websockets python3-cryptography # the Python quickstart
  pgbouncer # stands in front of the database
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep --quiet 'ok installed' || missing+=("$package")
done

# Of the SDK's own dependencies the lock file has the few that its messaging needs: all of them are 700 MB, and one is
# not on the registry any more.
sdk="$(dirname "${BASH_SOURCE[0]}")/../test/sdk"
if cmp --silent "$sdk/package-lock.json" "$sdk/node_modules/.installed-lock.json"; then
  echo "official SDK: nothing to install"
else
  echo "official SDK: installing"
  (cd "$sdk" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  cp "$sdk/package-lock.json" "$sdk/node_modules/.installed-lock.json"
fi

if [ "${#missing[@]}" -eq 0 ]; then
  echo "test programs: nothing to install"
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "test programs: this needs apt-get, or install by hand: ${missing[*]}" >&2
  exit 1
fi

echo "test programs: installing ${missing[*]}"
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update --quiet=2
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}"
