#!/usr/bin/env bash
# fuzz.sh TIME: runs every fuzz target of the tree for TIME, one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
time=${1:?usage: fuzz.sh TIME}

count=0
while IFS=: read -r file _ line; do
	target=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/' <<<"$line")
	echo "fuzz: $target in $(dirname "$file") for $time"
	"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$(dirname "$file")" </dev/null
	count=$((count + 1))
done < <(git grep -n --untracked -E '^func Fuzz[A-Za-z0-9_]*\(' -- '*_test.go' || true)
echo "fuzzed $count targets"
