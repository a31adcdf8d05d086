#!/bin/sh
# Decides what "ipvsadm" means on a machine that may have the distribution's
# package of that name too. Run by the packages of EVS; a person chooses with
# update-alternatives --config ipvsadm.
#
#   register   make the names, and leave those in force that there were
#   repair     let go of a candidate that is no longer installed
#   forget     take the names away
#
# The distribution's /usr/sbin/ipvsadm is a plain file of its own package, so no
# link of ours can have that place. The links are in /usr/local/sbin, which comes
# first in root's PATH, and lead to either candidate.
set -eu

links=/usr/local/sbin
manual=/usr/local/share/man/man8
ours=/usr/lib/evs/bin
theirs=/usr/sbin

# candidate DIR PRIORITY PREFIX: the commands in DIR, whose manual pages have
# names that begin with PREFIX.
candidate() {
	update-alternatives --install "$links/ipvsadm" ipvsadm "$1/ipvsadm" "$2" \
		--slave "$links/ipvsadm-save" ipvsadm-save "$1/ipvsadm-save" \
		--slave "$links/ipvsadm-restore" ipvsadm-restore "$1/ipvsadm-restore" \
		--slave "$manual/ipvsadm.8.gz" ipvsadm.8.gz "/usr/share/man/man8/${3}ipvsadm.8.gz" \
		--slave "$manual/ipvsadm-save.8.gz" ipvsadm-save.8.gz "/usr/share/man/man8/${3}ipvsadm-save.8.gz" \
		--slave "$manual/ipvsadm-restore.8.gz" ipvsadm-restore.8.gz "/usr/share/man/man8/${3}ipvsadm-restore.8.gz"
}

# register ranks an ipvsadm that is there already above ours: on a director at
# work, scripts must not find another table behind the name from one moment to
# the next. One that is installed later changes nothing for the same reason.
register() {
	mkdir -p "$links" "$manual"
	if [ -x "$theirs/ipvsadm" ]; then
		candidate "$theirs" 50 ""
	fi
	candidate "$ours" 20 evs-
}

known() { update-alternatives --display ipvsadm >/dev/null 2>&1; }

forget() {
	for dir in "$ours" "$theirs"; do
		if known; then
			update-alternatives --remove ipvsadm "$dir/ipvsadm" || true
		fi
	done
	rmdir "$manual" 2>/dev/null || true # if it is empty
}

case "${1:-}" in
register) if known; then candidate "$ours" 20 evs-; else register; fi ;;
# To register a candidate again makes update-alternatives look at all of them.
repair) if known; then candidate "$ours" 20 evs-; fi ;;
forget) forget ;;
*)
	echo "usage: ipvsadm-names register|repair|forget" >&2
	exit 2
	;;
esac
