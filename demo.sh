#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An unmodified redis-server and redis-benchmark on the kernel's stack and on Pronghorn's, side by side.
# Makes its own network in namespaces and removes it again, also after Ctrl-C. Options go to "pronghorn bench redis";
# on a machine that others use too, --fifo keeps them from the two CPUs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if [ "$(id -u)" != 0 ]; then
    echo "demo.sh makes network namespaces: run it as root" >&2
    exit 1
fi

if ! command -v dotnet > /dev/null; then
    echo "demo.sh needs the .NET SDK 10: https://dotnet.microsoft.com/download" >&2
    exit 1
fi

# 128 and the signal's number, also where a compiler that was interrupted ends with a status of its own.
trap 'exit 130' INT
trap 'exit 143' TERM

./eng/install.sh demo
./eng/build.sh product

echo "Two hosts in network namespaces, one cable; redis three ways, about a minute and a half:" >&2
echo "  kernel:  both ends on the kernel's stack" >&2
echo "  server:  redis-server on Pronghorn, redis-benchmark on the kernel" >&2
echo "  both:    both ends on Pronghorn" >&2
exec ./artifacts/bin/pronghorn bench redis --quick "$@"
