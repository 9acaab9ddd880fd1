#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An unmodified redis-server and redis-benchmark on the kernel's stack and on Pronghorn's, side by side.
# "./demo.sh services": a node with 10,000 Services, iptables (nft and legacy) against Pronghorn.
# "./demo.sh cdn": edge servers behind the balancer that relay contents to each other, and that hand connections off.
# Makes its own network in namespaces and removes it again, also after Ctrl-C. Options go to "pronghorn bench redis",
# "pronghorn bench services" or "pronghorn bench handoff"; on a machine that others use too, --fifo keeps them from the two CPUs (redis).
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

if [ "${1:-redis}" = services ]; then
    shift
    echo "A node with 10,000 Services of four endpoints each, three times over, in network namespaces; about four minutes:" >&2
    echo "  iptables-legacy, iptables-nft: rules as kube-proxy writes them" >&2
    echo "  pronghorn: manifests in a directory, the balancer's programs at sockets and at the edge" >&2
    exec ./artifacts/bin/pronghorn bench services --quick --services 10000 --rounds 3 --seconds 0.4 --load-limit 60 \
        --ways pronghorn,iptables-legacy,iptables-nft,none "$@"
fi

if [ "${1:-}" = cdn ]; then
    shift
    echo "Clients, the service balancer and 2, then 4 edge servers in network namespaces; three ways, about three minutes:" >&2
    echo "  relay, splice: an edge asks the one that has the content and passes its answer on" >&2
    echo "  handoff: an edge gives the connection to the one that has the content" >&2
    exec ./artifacts/bin/pronghorn bench handoff --quick "$@"
fi

[ "${1:-}" != redis ] || shift
echo "Two hosts in network namespaces, one cable; redis three ways, about a minute and a half:" >&2
echo "  kernel:  both ends on the kernel's stack" >&2
echo "  server:  redis-server on Pronghorn, redis-benchmark on the kernel" >&2
echo "  both:    both ends on Pronghorn" >&2
exec ./artifacts/bin/pronghorn bench redis --quick "$@"
