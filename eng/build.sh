#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds into artifacts/. Usage: eng/build.sh [bpf|native|core|cli|man|product|all|arm64]...
#   bpf      artifacts/bpf/*.bpf.o            the BPF programs, by clang
#   native   artifacts/lib/libpronghorn.so    the preload library, C; and libtcpm.so with its example
#   core     artifacts/lib/libpronghorn-core.so   the stack, compiled ahead of time
#   cli      artifacts/bin/pronghorn          the command line
#   man      artifacts/man                    manual pages: man -M artifacts/man pronghorn
#   product  all of these                     what a user runs (the default)
#   all      product and every other project of the solution
#   arm64    artifacts/arm64                  libraries, and a check of the protocol code, for 64-bit Arm (eng/install.sh arm64)
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
artifacts="$root/artifacts"
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1
# No compiler or build process stays behind.
export MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false DOTNET_CLI_USE_MSBUILD_SERVER=0

say() { printf '== %s\n' "$*" >&2; }

# Replaces a file in one step: a program may have the old one mapped.
install_file() {
    mkdir -p "$(dirname "$2")"
    if ! cmp -s "$1" "$2"; then
        cp "$1" "$2.new" && mv -f "$2.new" "$2"
    fi
}

newer_than() { # is any of the files $2... newer than $1?
    local target="$1" file
    shift
    [ -e "$target" ] || return 0
    for file in "$@"; do
        [ "$file" -nt "$target" ] && return 0
    done
    return 1
}

build_bpf() {
    say "BPF programs"
    local source object headers include
    mkdir -p "$artifacts/bpf"
    mapfile -t headers < <(find bpf -name '*.h')
    include="/usr/include/$(uname -m)-linux-gnu"
    for source in bpf/*.bpf.c; do
        object="$artifacts/bpf/$(basename "$source" .c).o"
        if newer_than "$object" "$source" "${headers[@]}"; then
            clang -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -I bpf -I "$include" -c "$source" -o "$object.new"
            llvm-strip -g "$object.new" 2> /dev/null || true
            mv -f "$object.new" "$object"
        fi
    done
}

build_native() {
    say "native libraries"
    make -s -C native/preload OUT="$artifacts/lib" >&2
    make -s -C native/tcpm OUT="$artifacts/lib" >&2
}

build_core() {
    say "stack, ahead of time (half a minute when something changed)"
    local runtime framework library
    case "$(uname -m)" in
        x86_64) runtime=linux-x64 ;;
        aarch64) runtime=linux-arm64 ;;
        *) echo "no build for $(uname -m)" >&2; exit 1 ;;
    esac
    framework="$(dotnet msbuild src/Pronghorn.Preload/Pronghorn.Preload.csproj -getProperty:PronghornAotTfm)"
    dotnet publish src/Pronghorn.Preload/Pronghorn.Preload.csproj -c Release -f "$framework" -r "$runtime" \
        -v quiet -tl:off "-clp:ErrorsOnly;NoSummary" >&2
    library="$(find "$artifacts/publish/Pronghorn.Preload" -name '*.so' -path "*release*" -newermt '1970-01-02' | head -1)"
    [ -n "$library" ] || { echo "publishing made no library" >&2; exit 1; }
    install_file "$library" "$artifacts/lib/libpronghorn-core.so"
}

# As "dotnet build" does, without its summary.
quiet_build() {
    dotnet msbuild "$1" -nologo -restore -p:Configuration=Release -v:quiet -tl:off "-clp:ErrorsOnly;NoSummary" >&2
}

build_cli() {
    say "command line"
    quiet_build src/Pronghorn.Cli/Pronghorn.Cli.csproj
    ln -sfn Pronghorn.Cli/release/pronghorn "$artifacts/bin/pronghorn"
}

build_man() {
    say "manual pages"
    eng/man.sh "$artifacts/man"
}

# The ahead-of-time compiler for arm64 comes with the newer framework only. Apart, so that other builds stay as they are.
build_arm64() {
    say "libraries for arm64"
    make -s -C native/preload OUT="$artifacts/arm64/lib" CC=aarch64-linux-gnu-gcc >&2
    make -s -C native/tcpm OUT="$artifacts/arm64/lib" CC=aarch64-linux-gnu-gcc >&2
    dotnet publish src/Pronghorn.Preload/Pronghorn.Preload.csproj -c Release -f net10.0 -r linux-arm64 \
        --artifacts-path "$artifacts/arm64/build" -p:TargetFrameworks=net10.0 -p:PronghornAotTfm=net10.0 \
        -p:CppCompilerAndLinker=clang -p:ObjCopyName=aarch64-linux-gnu-objcopy -v quiet -tl:off "-clp:ErrorsOnly;NoSummary" >&2
    install_file "$artifacts/arm64/build/publish/Pronghorn.Preload/release_net10.0_linux-arm64/Pronghorn.Preload.so" \
        "$artifacts/arm64/lib/libpronghorn-core.so"
    dotnet publish bench/Pronghorn.Seeds/Pronghorn.Seeds.csproj -c Release -r linux-arm64 \
        --artifacts-path "$artifacts/arm64/build" -p:PronghornAotTfm=net10.0 \
        -p:CppCompilerAndLinker=clang -p:ObjCopyName=aarch64-linux-gnu-objcopy -v quiet -tl:off "-clp:ErrorsOnly;NoSummary" >&2
    install_file "$artifacts/arm64/build/publish/Pronghorn.Seeds/release_linux-arm64/Pronghorn.Seeds" \
        "$artifacts/arm64/seeds/Pronghorn.Seeds"
}

build_solution() {
    say "every project"
    quiet_build Pronghorn.slnx
    ln -sfn Pronghorn.Cli/release/pronghorn "$artifacts/bin/pronghorn"
}

[ $# -gt 0 ] || set -- product
for part in "$@"; do
    case "$part" in
        bpf) build_bpf ;;
        native) build_native ;;
        core) build_core ;;
        cli) build_cli ;;
        man) build_man ;;
        product) build_bpf; build_native; build_core; build_cli; build_man ;;
        all) build_bpf; build_native; build_core; build_solution; build_man ;;
        arm64) build_arm64 ;;
        *) sed -n '3,11s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done
