#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds for 64-bit Arm and runs there what an emulator can run: the protocol code under 200 seeds, and the preload library
# in a program that goes on over the kernel, as qemu has neither AF_XDP nor bpf(2). The last line: N passed, N failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
artifacts="$PWD/artifacts/arm64"
./eng/install.sh arm64
./eng/build.sh arm64

run=(timeout 600 qemu-aarch64-static -L /usr/aarch64-linux-gnu)
place="$(mktemp -d)"
namespace="pronghorn-arm64-$$"
finish() {
    ip netns del "$namespace" 2> /dev/null || true
    rm -rf "$place"
}
trap finish EXIT
trap 'exit 130' INT TERM

passed=0
failed=0
check() { # check NAME COMMAND...
    local name="$1"
    shift
    if "$@" > "$place/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$name failed:"
        cat "$place/log"
    fi
}

# A namespace with an interface, and a program that talks to itself by epoll over an address of it.
ip netns add "$namespace"
ip -n "$namespace" link add one type veth peer name two
ip -n "$namespace" address add 10.77.0.1/24 dev one
for link in lo one two; do
    ip -n "$namespace" link set "$link" up
done
aarch64-linux-gnu-gcc -O2 -Wall -o "$place/talk" bench/Pronghorn.Seeds/talk.c
goes_on_over_the_kernel() {
    ip netns exec "$namespace" "${run[@]}" -E LD_PRELOAD="$artifacts/lib/libpronghorn.so" -E PRONGHORN_INTERFACE=one \
        -E PRONGHORN_LIBRARY_PATH="$artifacts/lib/libpronghorn-core.so" "$place/talk" 10.77.0.1 > "$place/talk.log" 2>&1 || return 1
    cat "$place/talk.log"
    # Both libraries were there: the core says why it is not on its own stack.
    grep -q "running on the kernel's path" "$place/talk.log" && grep -q "^hello$" "$place/talk.log"
}
check "the preload library" goes_on_over_the_kernel

"${run[@]}" "$artifacts/seeds/Pronghorn.Seeds" 200 | tee "$place/seeds.log" || true
more="$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$place/seeds.log")"
[ -n "$more" ] || more="0 1"
passed=$((passed + ${more% *}))
failed=$((failed + ${more#* }))
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
