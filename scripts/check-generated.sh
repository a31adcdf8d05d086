#!/usr/bin/env bash
# Fails when compiling the eBPF programs again changes a file: then the objects
# in the tree are not those of the sources beside them.
set -euo pipefail
cd "$(dirname "$0")/.."

state() {
	git ls-files -co --exclude-standard | sort | while read -r file; do
		[ ! -f "$file" ] || sha256sum "$file"
	done
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

state >"$work/before"
make generate
state >"$work/after"

if ! diff "$work/before" "$work/after" >"$work/diff"; then
	echo "check-generated: these files differ from what their sources compile to:" >&2
	sed -n 's/^[<>] [0-9a-f]*  /  /p' "$work/diff" | sort -u >&2
	echo "check-generated: run make generate and commit the result" >&2
	exit 1
fi
echo "generated files are up to date"
