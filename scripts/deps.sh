#!/usr/bin/env bash
# Installs the Debian packages a purpose needs and this machine lacks.
#
#   deps.sh run        what the tests and the demo run
#   deps.sh generate   what compiles the eBPF programs
#   deps.sh kernels    what boots other kernels
#   deps.sh bench      what the benchmark measures beside EVS, and with
#
# Asks the package manager for nothing when nothing is missing.
set -euo pipefail

# Each row: a command, or a file by its absolute path, and the package that
# brings it.
needs_run='
ip        iproute2
tc        iproute2
nft       nftables
iptables  iptables
ethtool   ethtool
curl      curl
man       man-db
rpm       rpm
systemd-analyze  systemd
'
needs_generate='
clang-19                          clang-19
llvm-strip-19                     llvm-19
/usr/include/bpf/bpf_helpers.h    libbpf-dev
/usr/include/linux/bpf.h          linux-libc-dev
'

needs_kernels='
qemu-system-x86_64  qemu-system-x86
busybox             busybox-static
cpio                cpio
'

needs_bench='
wrk       wrk
haproxy   haproxy
nginx     nginx-light
/usr/lib/nginx/modules/ngx_stream_module.so  libnginx-mod-stream
'

die() {
	echo "deps: $*" >&2
	exit 1
}

case "${1:-}" in
run) needs=$needs_run ;;
generate) needs=$needs_generate ;;
kernels) needs=$needs_kernels ;;
bench) needs=$needs_bench ;;
*) die "usage: deps.sh run|generate|kernels|bench" ;;
esac

# Root's tools are in sbin, which a plain user's PATH leaves out.
PATH=$PATH:/usr/sbin:/sbin

present() {
	case "$1" in
	/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

missing=()
while read -r what package; do
	[ -n "$what" ] || continue
	present "$what" || missing+=("$package")
done <<<"$needs"

[ "${#missing[@]}" -gt 0 ] || exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)

command -v apt-get >/dev/null ||
	die "this is not Debian; please install what brings these packages there: ${missing[*]}"
[ "$(id -u)" = 0 ] ||
	die "missing: ${missing[*]}; run as root to install them"

echo "deps: installing ${missing[*]}"
# What is installed for its program alone should not start to serve.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null ||
	die "could not install ${missing[*]}; clang-19 needs Debian 12 or newer"
