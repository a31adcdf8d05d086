#!/usr/bin/env bash
# lint.sh LINTER: the checks that every change must pass. LINTER is
# golangci-lint's package at its pinned version; .golangci.yml configures it.
# Its first run builds it, in a minute or two.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

echo "lint: Go"
"${GO:-go}" run "${1:?usage: lint.sh LINTER}" run ./... || failed=1

echo "lint: shell"
mapfile -t scripts < <(git ls-files -co --exclude-standard '*.sh' .ci/run)
for script in "${scripts[@]}"; do
	bash -n "$script" || failed=1
done
if command -v shellcheck >/dev/null; then
	shellcheck "${scripts[@]}" || failed=1
fi

exit "$failed"
