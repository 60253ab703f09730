#!/bin/sh
# Runs the comparison: a private PostgreSQL cluster with durability on, then the benchmark.
# PostgreSQL refuses to run as root, so as root the cluster runs as user postgres.
# Usage: benches/ledger/run.sh [arguments of the benchmark]
set -eu
cd "$(dirname "$0")/../.."
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
port=${MIYUN_BENCH_PORT:-5499}
dir=$(mktemp -d /var/tmp/miyun-bench-pg.XXXXXX)
as() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
stop() { as "$bin/pg_ctl" -D "$dir/data" -m fast stop >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap stop EXIT INT TERM
[ "$(id -u)" = 0 ] && chown postgres "$dir"
(
  cd "$dir"
  as "$bin/initdb" -D "$dir/data" -A trust -U postgres >/dev/null
  as "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -o "-c listen_addresses=127.0.0.1 -p $port \
    -c unix_socket_directories= -c fsync=on -c synchronous_commit=on -c full_page_writes=on \
    -c shared_buffers=512MB -c max_wal_size=4GB -c checkpoint_timeout=15min -c max_connections=50" start >/dev/null
)
cargo run --release -q -p miyun-bench-ledger -- --postgres "host=127.0.0.1 port=$port user=postgres" "$@"
