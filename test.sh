#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds everything, runs every test, and ends with the line "N passed, N failed".
# Usage: ./test.sh [PATTERN]    only the test projects whose name matches the pattern
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
pattern="${1:-.}"
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_UI_LANGUAGE=en
results="artifacts/test-results"
limit_seconds="${PRONGHORN_TEST_LIMIT:-900}" # for one project; a test that hangs for half of it is named

stop() {
    echo "$1"
    echo "0 passed, 1 failed"
    exit 1
}

./eng/install.sh test || stop "installing failed"
./eng/build.sh all || stop "building failed"

counter() { # counter NAME FILE: an attribute of the <Counters> element of a .trx file
    sed -n "s/.*<Counters [^>]*\b$1=\"\([0-9]*\)\".*/\1/p" "$2" 2> /dev/null | head -1
}

passed=0
failed=0
for project in tests/*/*.csproj; do
    name="$(basename "$project" .csproj)"
    [ -e "$project" ] && [[ "$name" =~ $pattern ]] || continue
    mkdir -p "$results"
    rm -f "$results/$name.trx"
    start=$SECONDS
    printf '== %s\n' "$name"
    timeout --kill-after=20 "$limit_seconds" \
        dotnet test "$project" -c Release --no-build --results-directory "$results" \
        --blame-hang-timeout "$((limit_seconds / 2))s" --blame-hang-dump-type none \
        --logger "trx;LogFileName=$name.trx" --logger "console;verbosity=minimal" > "$results/$name.log" 2>&1 < /dev/null
    status=$?
    good="$(counter passed "$results/$name.trx")"
    bad="$(counter failed "$results/$name.trx")"
    good="${good:-0}"
    bad="${bad:-0}"
    if [ "$status" != 0 ]; then
        cat "$results/$name.log"
        [ "$status" = 124 ] && echo "$name did not end within $limit_seconds s"
        # A run that broke off counts as a failure of its own.
        [ "$bad" -gt 0 ] || bad=1
    fi
    printf '   %s passed, %s failed (%s s)\n' "$good" "$bad" "$((SECONDS - start))"
    passed=$((passed + good))
    failed=$((failed + bad))
done

# Programs that tests killed left their statistics pages; whoever looks next removes them.
artifacts/bin/pronghorn ss > "$results/remains.log" 2>&1 || cat "$results/remains.log"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
