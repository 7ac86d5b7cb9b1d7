#!/bin/sh
# Makes up the secrets of docker-compose.yml, each in a file below the directory of the service that reads it; keeps
# those that are there. Usage: make-secrets.sh DIRECTORY. Whoever sees a directory may read it: its service alone does.
set -eu
umask 022
cd "${1:?usage: make-secrets.sh DIRECTORY}"

# Whole or not at all: what an interrupted run left is overwritten.
write() {
  cat >"$1.new"
  # The relay runs as the user who makes the secrets; the others run as users of their own.
  case "$1" in relay/*) chmod 0400 "$1.new" ;; *) chmod 0444 "$1.new" ;; esac
  mv -f "$1.new" "$1"
}
secret() {
  [ -s "$1" ] || head -c 30 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' | write "$1"
}

mkdir -p relay database grafana
secret database/password
secret relay/admin-token
secret grafana/admin-password
[ -s relay/database-url ] || printf 'postgres://relay:%s@database:5432/relay' "$(cat database/password)" | write relay/database-url
