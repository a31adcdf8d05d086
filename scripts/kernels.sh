#!/usr/bin/env bash
# Boots Debian's cloud kernels under qemu's emulation, side by side, and has EVS load,
# attach, forward by every method, expire and unload there too (guest.sh). Nothing of
# this machine is touched.
#
#   kernels.sh EVS TESTS [PACKAGE...]   EVS: the binary; TESTS: that of the tests of
#                                       internal/datapath; PACKAGE: linux-image-…-cloud-amd64,
#                                       unless told the release's own and 6.12
set -euo pipefail

die() {
	echo "kernels: $*" >&2
	exit 1
}

[ $# -ge 2 ] || die "usage: kernels.sh EVS TESTS [PACKAGE...]"
evs=$(realpath "$1") tests=$(realpath "$2")
shift 2
guest=$(realpath "$(dirname "$0")/guest.sh")

# Prints the kernel packages that Debian has now, of those we care about.
known_kernels() {
	local meta
	for meta in linux-image-cloud-amd64 linux-image-6.12-cloud-amd64; do
		apt-cache depends "$meta" 2>/dev/null | awk '/Depends: linux-image-/ { print $2; exit }'
	done | sort -u
}

if [ $# -eq 0 ]; then
	[ "$(known_kernels | wc -l)" = 2 ] || apt-get update -qq
	mapfile -t packages < <(known_kernels)
	set -- "${packages[@]}"
	[ $# -gt 0 ] || die "the package manager knows no linux-image-cloud-amd64; run apt-get update"
fi
modules='veth sch_ingress cls_bpf llc stp bridge'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# Prints the libraries that programs are linked with.
libraries() {
	ldd "$@" | awk '/=> \// { print $3 } $1 ~ /^\// && NF == 2 { print $1 }' | sort -u
}

# initramfs TREE ROOT prints the file system that the guest boots into.
initramfs() {
	local tree=$1 root=$2 name m file
	mkdir -p "$root"/{bin,proc,sys,dev,run,tmp,modules}
	cp "$(command -v busybox)" "$root/bin/busybox"
	for name in sh mount mkdir cat cut grep ls insmod nc poweroff sleep uname wc; do ln -s busybox "$root/bin/$name"; done
	for name in ip tc; do cp "$(command -v $name)" "$root/bin/"; done
	libraries "$(command -v ip)" "$(command -v tc)" | while read -r file; do
		mkdir -p "$root${file%/*}"
		cp -L "$file" "$root$file"
	done
	cp "$evs" "$root/bin/evs"
	cp "$tests" "$root/bin/datapath.test"
	ln -s evs "$root/bin/ipvsadm"
	for m in $modules; do
		find "$tree/lib/modules" \( -name "$m.ko" -o -name "$m.ko.xz" \) -exec cp {} "$root/modules/" \;
		[ ! -e "$root/modules/$m.ko.xz" ] || busybox unxz "$root/modules/$m.ko.xz"
		echo "$m" >>"$root/modules/order"
	done
	cp "$guest" "$root/init"
	(cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1)
}

# boot PACKAGE has its kernel run the tests; what it says goes into a log.
boot() {
	local package=$1 dir=$work/$1
	mkdir "$dir"
	(cd "$dir" && apt-get download -qq "$package" 2>/dev/null) || {
		echo "$package: cannot be downloaded; run apt-get update" >"$dir/log"
		return
	}
	dpkg-deb -x "$dir/$package"_*.deb "$dir/tree"
	initramfs "$dir/tree" "$dir/root" >"$dir/initrd"
	timeout 900 qemu-system-x86_64 -kernel "$dir"/tree/boot/vmlinuz-* -initrd "$dir/initrd" \
		-m 1024 -cpu max -nographic -no-reboot -net none \
		-append "console=ttyS0 quiet panic=-1 no_timer_check" >"$dir/said" 2>&1 </dev/null || true
	tr -d '\r\033' <"$dir/said" | sed '1,/Booting from/d' >"$dir/log"
}

for package in "$@"; do
	boot "$package" &
done
wait
failed=
for package in "$@"; do
	echo "kernels: $package"
	cat "$work/$package/log"
	grep -qx passed "$work/$package/log" || failed+=" $package"
done
[ -z "$failed" ] || die "failed, see above:$failed"
