#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing out of Debian's packages. Usage: eng/install.sh build|demo|test|arm64
set -euo pipefail

# program-or-file -> package
build_needs=(
    clang:clang llvm-strip:llvm gcc:gcc make:make
    /usr/include/bpf/bpf_helpers.h:libbpf-dev
    /usr/include/linux/if_xdp.h:linux-libc-dev
    lowdown:lowdown
    /usr/include/stdio.h:libc6-dev /usr/include/zlib.h:zlib1g-dev
)
demo_needs=(
    ip:iproute2 ethtool:ethtool redis-server:redis-server redis-benchmark:redis-tools setpriv:util-linux
    iptables:iptables nft:nftables
)
test_needs=(
    strace:strace memcached:memcached curl:curl wrk:wrk ffmpeg:ffmpeg nginx:nginx-light python3:python3 tcpdump:tcpdump nm:binutils
    bpftool:bpftool /lib/systemd/systemd:systemd
    /usr/aarch64-linux-gnu/include/stdio.h:libc6-dev-arm64-cross
)

arm64_needs=(
    aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu /usr/aarch64-linux-gnu/include/stdio.h:libc6-dev-arm64-cross
    qemu-aarch64-static:qemu-user-static ip:iproute2
)

case "${1:-}" in
    build) needs=("${build_needs[@]}") ;;
    demo) needs=("${build_needs[@]}" "${demo_needs[@]}") ;;
    test) needs=("${build_needs[@]}" "${demo_needs[@]}" "${test_needs[@]}") ;;
    arm64) needs=("${build_needs[@]}" "${arm64_needs[@]}") ;;
    *) echo "usage: eng/install.sh build|demo|test|arm64" >&2; exit 2 ;;
esac

# Debian keeps some of these out of an unprivileged PATH.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

missing=()
services=()
for need in "${needs[@]}"; do
    wanted="${need%%:*}"
    package="${need##*:}"
    case "$wanted" in
        /*) compgen -G "$wanted" > /dev/null && continue ;;
        *) command -v "$wanted" > /dev/null && continue ;;
    esac
    missing+=("$package")
    case "$package" in
        redis-server) services+=(redis-server) ;;
        memcached) services+=(memcached) ;;
        nginx-light) services+=(nginx) ;;
    esac
done

[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "missing packages: ${missing[*]}; install them, or run this as root" >&2
    exit 1
fi

if ! command -v apt-get > /dev/null; then
    echo "missing packages: ${missing[*]}; this is no Debian, install them by hand" >&2
    exit 1
fi

echo "installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# Run level 1 tells the packages' own scripts (invoke-rc.d) to start no service.
export RUNLEVEL=1
apt-get update -q >&2
apt-get install -y -q --no-install-recommends "${missing[@]}" >&2

# Where the init system started one all the same, stop what this script brought in, and nothing else.
for service in "${services[@]}"; do
    if command -v systemctl > /dev/null && systemctl is-active --quiet "$service" 2> /dev/null; then
        systemctl disable --now --quiet "$service" >&2 || true
    fi
done
