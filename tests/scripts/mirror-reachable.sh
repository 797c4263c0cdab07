#!/usr/bin/env bash
# Exits 0 if the Debian mirror of this host's apt sources answers; with --url says which it is.
set -uo pipefail
uri=$(grep -hoE 'https?://[^ ]+' /etc/apt/sources.list /etc/apt/sources.list.d/debian* 2>/dev/null | grep -m1 -E '/debian/?$')
[ -n "$uri" ] || exit 1
host=$(printf '%s' "$uri" | sed -E 's#^https?://([^/:]+).*#\1#')
port=$(case $uri in https:*) echo 443 ;; *) echo 80 ;; esac)
[ "${1:-}" != --url ] || echo "$uri"
timeout 10 bash -c "exec 3<>/dev/tcp/$host/$port" 2>/dev/null
