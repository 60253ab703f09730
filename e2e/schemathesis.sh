#!/usr/bin/env bash
# Schemathesis against both API documents (platform and carbon registry): no request made from a
# document may end in a 5xx, and answers must be of the kinds that it names. Skips, saying so, where
# Python or the package is absent.
#
# Usage: e2e/schemathesis.sh [path of the miyun binary]
# With MIYUN_URL and MIYUN_KEY set it asks a server that runs already.
# SCHEMATHESIS_EXAMPLES (20) says how many requests each operation gets from each phase,
# SCHEMATHESIS_SECONDS how long it may go on for each of the documents (as long as it takes).
set -euo pipefail
cd "$(dirname "$0")/.."
cache="${MIYUN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/miyun}/schemathesis"
target="${CARGO_TARGET_DIR:-target}"
miyun="$(realpath -m "${1:-$target/debug/miyun}")"
examples="${SCHEMATHESIS_EXAMPLES:-20}"
seconds="${SCHEMATHESIS_SECONDS:-}"
skip() { echo "SKIPPED Schemathesis: $1"; exit 0; }

command -v python3 >/dev/null || skip "no python3"
if [ ! -x "$cache/bin/schemathesis" ]; then
    python3 -m venv "$cache" 2>/dev/null || skip "python3 -m venv does not work"
    "$cache/bin/pip" install --quiet 'schemathesis>=4,<5' || skip "the package cannot be installed"
fi
work="$(mktemp -d)"
server=
trap '[ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }; rm -rf "$work"' EXIT
run() {
    for document in api/v1 api/registry/v1; do
        echo "Schemathesis: $document"
        # Where nothing is written beside the sources.
        (cd "$work" && "$cache/bin/schemathesis" run "$1/$document/openapi.json" \
            --header "Authorization: Bearer $2" \
            --checks not_a_server_error,status_code_conformance,content_type_conformance \
            --exclude-path-regex '^/api/v1/keys' \
            --max-examples "$examples" ${seconds:+--max-time "$seconds"} --phases examples,coverage,fuzzing \
            --request-timeout 40 --suppress-health-check all --no-color)
    done
    curl -fs "$1/readyz" >/dev/null
    echo "Schemathesis: no 5xx"
}
if [ -n "${MIYUN_URL:-}" ]; then
    run "$MIYUN_URL" "${MIYUN_KEY:?a key with the scopes read, write and manage}"
    exit
fi
[ -x "$miyun" ] || skip "no binary at $miyun: cargo build -p miyun"

port=$((20000 + RANDOM % 20000))
cat > "$work/miyun.toml" <<TOML
lake = "lake"
listen = "127.0.0.1:$port"
[web]
api_requests_per_minute = 1000000
TOML
# As an administrator and officer, so that requests get past the rights; a key of a session.
password="schemathesis may come in"
echo "$password" | "$miyun" --config "$work/miyun.toml" user add tester --role admin --role officer --password-stdin 2>/dev/null
"$miyun" --config "$work/miyun.toml" serve --demo --gateway 127.0.0.1:0 2>"$work/log" &
server=$!
for _ in $(seq 900); do
    curl -fs "http://127.0.0.1:$port/readyz" >/dev/null 2>&1 && break
    kill -0 "$server" 2>/dev/null || { cat "$work/log"; exit 1; }
    sleep 0.2
done

jar="$work/jar"
form=$(curl -fs -c "$jar" "http://127.0.0.1:$port/en/sign-in" | grep -o 'name="csrf" value="[0-9a-f]*"' | grep -o '[0-9a-f]\{32\}')
curl -fs -b "$jar" -c "$jar" -o /dev/null --data-urlencode "csrf=$form" --data-urlencode login=tester \
    --data-urlencode "password=$password" "http://127.0.0.1:$port/en/sign-in"
csrf=$(curl -fs -b "$jar" "http://127.0.0.1:$port/api/v1/me" | grep -o '"csrf":"[0-9a-f]*"' | grep -o '[0-9a-f]\{32\}')
key=$(curl -fs -b "$jar" -H "x-csrf-token: $csrf" -H 'content-type: application/json' \
    -d '{"name":"schemathesis","scopes":["read","write","manage"],"days":1}' \
    "http://127.0.0.1:$port/api/v1/keys" | grep -o 'miyun_[0-9a-f]*')

run "http://127.0.0.1:$port" "$key"
if grep -q "panicked" "$work/log"; then grep -B2 -A5 panicked "$work/log"; exit 1; fi
