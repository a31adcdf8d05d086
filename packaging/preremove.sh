#!/bin/sh
# Before the files go. dpkg says "remove" or "upgrade"; rpm says how many
# versions will be left.
set -e

case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
	systemctl disable --now evs-director.service evs-ipvsadm.service evs-agent.service || true
fi
# Without evs nobody could see or stop what is attached, so it goes too.
/usr/sbin/evs unload >/dev/null || true
rmdir /sys/fs/bpf/evs 2>/dev/null || true # unless another namespace has a table
/usr/lib/evs/ipvsadm-names forget
