#!/usr/bin/env bash
# man.sh DIR VERSION: writes the manual pages into DIR, dated by the commit so
# that the same source gives the same pages.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:?usage: man.sh DIR VERSION}
version=${2:?usage: man.sh DIR VERSION}

rm -rf "$dir"
mkdir -p "$dir"
"${GO:-go}" run -ldflags "-X main.version=$version" ./cmd/evs gen-manual \
	--date "$(TZ=UTC git log -1 --format=%cd --date=format-local:%F)" "$dir"
