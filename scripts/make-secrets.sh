#!/bin/sh
# Writes the database's password, and the URL that holds it, into a directory; keeps those that are there.
# Usage: make-secrets.sh DIRECTORY. The files are readable by all who can see the directory: here, two containers.
set -eu

directory=${1:?usage: make-secrets.sh DIRECTORY}
cd "$directory"
[ -s database-url ] && exit 0
rm -f database-password database-url.new # what an interrupted run left

password=$(head -c 30 /dev/urandom | base64 | tr '+/' '-_')
printf '%s' "$password" >database-password
printf 'postgres://relay:%s@database:5432/relay' "$password" >database-url.new
chmod 0444 database-password database-url.new
mv database-url.new database-url # last and at once: its presence says that both are whole
