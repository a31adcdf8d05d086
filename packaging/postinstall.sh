#!/bin/sh
# After unpacking. dpkg says "configure" or, when an ipvsadm came or went,
# "triggered"; rpm says how many versions there are now.
set -e

case "$1" in
triggered) /usr/lib/evs/ipvsadm-names repair ;;
configure | [1-9]*)
	/usr/lib/evs/ipvsadm-names register
	# The unit is neither enabled nor started: that is the administrator's
	# decision, and on an update the table goes on serving.
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload || true
	fi
	;;
esac
