#!/usr/bin/env bash
# Boots Debian's cloud kernels under qemu's emulation and has a lab balance
# requests in them: the data path loads, attaches, forwards and unloads there
# too. A kernel boots in a few seconds; nothing of this machine is touched.
#
#   kernels.sh EVS [PACKAGE...]   EVS: the binary; PACKAGE: linux-image-…-cloud-amd64,
#                                 the release's own unless told
set -euo pipefail

die() {
	echo "kernels: $*" >&2
	exit 1
}

[ $# -ge 1 ] || die "usage: kernels.sh EVS [PACKAGE...]"
evs=$(realpath "$1")
shift

# The kernel package that Debian's release has now.
release_kernel() {
	apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends: linux-image-/ { print $2; exit }'
}

if [ $# -eq 0 ]; then
	[ -n "$(release_kernel)" ] || apt-get update -qq
	set -- "$(release_kernel)"
	[ -n "$1" ] || die "the package manager knows no linux-image-cloud-amd64; run apt-get update"
fi
modules='veth sch_ingress cls_bpf llc stp bridge'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# What runs as process 1 in the guest. It says "passed" last, or something is wrong.
init() {
	cat <<-'INIT'
		#!/bin/sh
		export PATH=/bin
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		mount -t devtmpfs dev /dev
		mount -t tmpfs run /run
		for m in MODULES; do insmod /modules/$m.ko; done
		uname -r
		fail() { echo "kernels: $*"; poweroff -f; }
		on() { evs lab exec --name k director "$@"; }
		evs lab up --name k >/run/out 2>&1 || { cat /run/out; fail "no lab"; }
		on ipvsadm -A -t 203.0.113.10:80 -s wrr || fail "no table"
		on ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.2 -m -w 3 || fail "no destination"
		on ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.3 -m -w 1 || fail "no destination"
		evs lab get --name k --requests 200 --concurrency 4 http://203.0.113.10/ >/run/out || fail "requests lost"
		cat /run/out
		grep -q '^server1 *150 ' /run/out || fail "server1 did not get its three quarters"
		on ipvsadm --set 0 1 0
		on evs attach --mode xdp || fail "XDP not attached"
		on evs attach --mode auto || fail "not attached again"
		evs lab get --name k --requests 20 http://203.0.113.10/ >/run/out || fail "requests lost after attaching anew"
		evs lab exec --name k client1 nc 203.0.113.10 80 </dev/console & # which says nothing
		until on evs connection list | grep ESTABLISHED; do sleep 1; done
		on evs upgrade || fail "not upgraded"
		on evs resize --conns 20000 || fail "not resized"
		evs lab get --name k --requests 20 http://203.0.113.10/ >/run/out || fail "requests lost after resizing"
		on evs connection list | grep -q ESTABLISHED || fail "a connection was lost on the move"
		on evs connection flush --state established --reset=both >/run/out || fail "connections not ended"
		cat /run/out
		grep -q 'answered yet: 0' /run/out || fail "a client that waits was not asked"
		wait # until it is reset
		on evs connection list --state established | grep ESTABLISHED && fail "a connection is left"
		on evs unload || fail "not unloaded"
		decap="evs lab exec --name k server1 evs realserver"
		$decap setup --vip 203.0.113.10 --vip 2001:db8:2::10 --method tunnel --decap evs --mode xdp >/run/out || fail "no decapsulator"
		cat /run/out
		$decap status || fail "no status of the decapsulator"
		$decap teardown || fail "decapsulator not taken off"
		evs lab down --name k || fail "lab not taken down"
		echo passed
		poweroff -f
	INIT
}

# Prints the file system the guest boots into.
initramfs() {
	local tree=$1 root=$work/root name m
	rm -rf "$root"
	mkdir -p "$root"/{bin,proc,sys,dev,run,tmp,modules}
	cp "$(command -v busybox)" "$root/bin/busybox"
	for name in sh mount cat grep insmod nc poweroff sleep uname; do ln -s busybox "$root/bin/$name"; done
	cp "$evs" "$root/bin/evs"
	ln -s evs "$root/bin/ipvsadm"
	for m in $modules; do
		find "$tree/lib/modules" -name "$m.ko" -exec cp {} "$root/modules/" \;
	done
	init | sed "s/MODULES/$modules/" >"$root/init"
	chmod 755 "$root/init"
	(cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1)
}

for package in "$@"; do
	echo "kernels: $package"
	(cd "$work" && apt-get download -qq "$package" 2>/dev/null) || die "$package: cannot be downloaded; run apt-get update"
	rm -rf "$work/tree"
	dpkg-deb -x "$work/$package"_*.deb "$work/tree"
	initramfs "$work/tree" >"$work/initrd"
	timeout 300 qemu-system-x86_64 -kernel "$work"/tree/boot/vmlinuz-* -initrd "$work/initrd" \
		-m 1024 -cpu max -nographic -no-reboot -net none \
		-append "console=ttyS0 quiet panic=-1" >"$work/log" 2>&1 || true
	tr -d '\r' <"$work/log" | sed '1,/Booting from/d' | tr -d '\033'
	tr -d '\r' <"$work/log" | grep -qx passed || die "$package: failed, see above"
done
