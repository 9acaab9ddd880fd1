#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes manual pages (man(7)) of docs/man/*.md. Usage: eng/man.sh DIRECTORY    writes DIRECTORY/man1/*.1, DIRECTORY/man8/*.8
# Read one with: man -M DIRECTORY pronghorn
set -euo pipefail
directory="${1:?usage: eng/man.sh DIRECTORY}"
mkdir -p "$directory"
directory="$(cd "$directory" && pwd)"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for source in docs/man/*.[0-9].md; do
    page="$(basename "$source" .md)"
    name="${page%.*}"
    section="${page##*.}"
    mkdir -p "$directory/man$section"
    # The first line is the page's title, which the metadata give; the headings below it become sections.
    sed -e 1d -e 's/^##/#/' "$source" |
        lowdown -s -Tman --out-no-smarty --parse-no-intraemph -M "title=$name" -M "section=$section" -M "source=Pronghorn" \
            > "$directory/man$section/$page.new"
    mv -f "$directory/man$section/$page.new" "$directory/man$section/$page"
done
