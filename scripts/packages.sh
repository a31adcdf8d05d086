#!/usr/bin/env bash
# packages.sh NFPM [DIR [ARCHITECTURE...]]: builds the Debian and RPM packages in
# DIR, which is dist, for amd64 and arm64. NFPM is its Go package at its pinned
# version. The same commit gives the same packages, to the byte.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
nfpm=${1:?usage: packages.sh NFPM}
dir=${2:-dist}
architectures=("${@:3}")
[ "${#architectures[@]}" -gt 0 ] || architectures=(amd64 arm64)
stage=$dir/stage

# package_version is what git calls this commit, as Debian and RPM compare
# versions: v1.2-3-gabc is 1.2+3.gabc; before the first tag it is older than any.
package_version() {
	local described dirty=''
	git diff --quiet HEAD -- || dirty=+dirty
	if described=$(git describe --tags --match 'v[0-9]*' 2>/dev/null); then
		described=${described#v}
		described=$(sed -E 's/-([0-9]+)-g([0-9a-f]+)$/+\1.g\2/; s/-/~/g' <<<"$described")
	else
		described=0.0.0~git$(git rev-list --count HEAD).$(git rev-parse --short HEAD)
	fi
	echo "$described$dirty"
}

# licences DIR: the licence of everything that is linked into the program.
licences() {
	local module dir
	cp "$("$go" env GOROOT)/LICENSE" "$1/go"
	"$go" list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}' ./cmd/evs | sort -u |
		while read -r module dir; do
			cat "$dir"/LICENSE* >"$1/${module//\//_}"
		done
}

PACKAGE_VERSION=$(package_version)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export STAGE=$stage PACKAGE_VERSION SOURCE_DATE_EPOCH CGO_ENABLED=0

rm -rf "$stage"
mkdir -p "$stage"/{completion,doc/docs,doc/licences}
for ARCH in "${architectures[@]}"; do
	GOOS=linux GOARCH=$ARCH "$go" build -trimpath -buildvcs=false \
		-ldflags "-s -w -X main.version=$PACKAGE_VERSION" -o "$stage/$ARCH/evs" ./cmd/evs
done
scripts/man.sh "$stage/man" "$PACKAGE_VERSION"
# The manual of ipvsadm gives way to the distribution's; see ipvsadm-names.
for page in "$stage"/man/ipvsadm*; do
	mv "$page" "$stage/man/evs-$(basename "$page")"
done
gzip -9n "$stage"/man/*
for shell in bash zsh fish; do
	"$go" run ./cmd/evs completion "$shell" >"$stage/completion/evs.$shell"
done
cp README.md NOTICE "$stage/doc/"
cp docs/*.md docs/evs.schema.json docs/openapi.json "$stage/doc/docs/"
cp bpf/LICENSE-* "$stage/doc/licences/"
licences "$stage/doc/licences"
cat NOTICE <(echo) LICENSE >"$stage/doc/copyright"

# What is packed has the date of the commit, and the same modes under any umask.
chmod -R u=rwX,go=rX "$stage"
find "$stage" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +

GOBIN=$(realpath "$stage") "$go" install "$nfpm"
rm -f "$dir"/*.deb "$dir"/*.rpm
for ARCH in "${architectures[@]}"; do
	export ARCH
	for format in deb rpm; do
		"$stage/nfpm" package --config packaging/nfpm.yaml --packager "$format" --target "$dir/"
	done
done
ls -l "$dir"/*.deb "$dir"/*.rpm
