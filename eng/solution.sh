#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes Pronghorn.slnx from the projects that exist: every project is in the solution, and nothing else is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

{
    echo '<Solution>'
    for folder in src lab tests bench; do
        projects=$(find "$folder" -mindepth 2 -maxdepth 2 -name '*.csproj' 2>/dev/null | LC_ALL=C sort)
        [ -n "$projects" ] || continue
        echo "  <Folder Name=\"/$folder/\">"
        while read -r project; do
            echo "    <Project Path=\"$project\" />"
        done <<< "$projects"
        echo '  </Folder>'
    done
    echo '</Solution>'
} > Pronghorn.slnx
