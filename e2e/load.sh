#!/usr/bin/env bash
# 200 visitors who click (wrk, keep-alive, half a second to a second and a half between two pages) on a
# demonstration of its own; the server and the visitors share the machine. Fails if the home page takes
# more than 50 ms at the 99th percentile or any answer is an error.
#
# Usage: e2e/load.sh [path of the miyun binary] ; PAGES="/zh/ /en/air" asks for other pages.
set -euo pipefail
cd "$(dirname "$0")/.."
miyun="$(realpath -m "${1:-${CARGO_TARGET_DIR:-target}/release/miyun}")"
command -v wrk >/dev/null || { echo "SKIPPED: no wrk"; exit 0; }
[ -x "$miyun" ] || { echo "no binary at $miyun: cargo build --release -p miyun" >&2; exit 1; }
work="$(mktemp -d)"
server=
trap '[ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }; rm -rf "$work"' EXIT
port=$((20000 + RANDOM % 20000))
printf 'lake = "lake"\nlisten = "127.0.0.1:%s"\n' "$port" > "$work/miyun.toml"
RUST_LOG=warn "$miyun" --config "$work/miyun.toml" serve --demo --gateway 127.0.0.1:0 2>"$work/log" &
server=$!
for page in /zh/ /en/ ${PAGES:-}; do
    for _ in $(seq 300); do
        curl -fs -o /dev/null "http://127.0.0.1:$port$page" && break
        kill -0 "$server" 2>/dev/null || { cat "$work/log"; exit 1; }
        sleep 0.2
    done
done
echo "$(nproc) cores of $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), load $(cut -d' ' -f1 /proc/loadavg)"
wrk -t2 -c200 -d"${SECONDS_LOAD:-30}s" --latency -s e2e/click.lua "http://127.0.0.1:$port" | tee "$work/out" | grep -E '^requests|Requests/sec'
awk '/^requests/ { gsub(",", ""); if ($4 > 0 || $9 > 50) { print "over the budget: p99 " $9 " ms (50), errors " $4; exit 1 } found = 1 } END { if (!found) exit 1 }' "$work/out"
