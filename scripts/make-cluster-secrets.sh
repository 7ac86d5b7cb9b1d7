#!/bin/sh
# Makes up the secrets of docker-compose.cluster.yml: those of make-secrets.sh, and the node key that all relays share.
# Keeps those that are there. Usage: make-cluster-secrets.sh DIRECTORY
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)
sh "$here/make-secrets.sh" "${1:?usage: make-cluster-secrets.sh DIRECTORY}"
cd "$1"

if [ ! -s relay/node.key ]; then
  node -e '
    const { privateKey } = require("node:crypto").generateKeyPairSync("ed25519")
    process.stdout.write(privateKey.export({ type: "pkcs8", format: "pem" }))' >relay/node.key.new
  chmod 0400 relay/node.key.new
  mv -f relay/node.key.new relay/node.key
fi
