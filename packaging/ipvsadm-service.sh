#!/bin/sh
# Keeps EVS's table of virtual servers across boots: what evs-ipvsadm.service
# runs, and a person may.
#
#   start    load the rules if AUTO is true, then the daemons DAEMON names
#   stop     stop those daemons; if AUTO is true save, where that is wished, and flush
#   reload   load the rules anew if AUTO is true
#   load     clear the table and make it what the rules file says; settings and
#            marks too, if there are files of them
#   save     write the table into the rules file, settings and marks into those that
#            there are
#   flush    clear the table
#   status   list the table
#
# The settings and their meaning are those of the ipvsadm packages of Debian
# (/etc/default/ipvsadm: AUTO DAEMON IFACE SYNCID) and of the Red Hat family
# (/etc/sysconfig/ipvsadm-config: IPVS_SAVE_ON_STOP). /etc/default/evs-ipvsadm
# comes last and so has the last word.
set -eu

# The ipvsadm beside this script, whatever the name means elsewhere.
here=$(dirname "$(readlink -f "$0")")
PATH=$here/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

die() {
	echo "ipvsadm-service: $*" >&2
	exit 1
}

note() { echo "ipvsadm-service: $*" >&2; }

# settings reads the files there are over the defaults of the two families.
settings() {
	AUTO=false
	IPVSADM_RULES=/etc/ipvsadm.rules
	if [ -d /etc/sysconfig ] && [ ! -e /etc/ipvsadm.rules ] && [ ! -e /etc/debian_version ]; then
		# There, who enables the unit wants the rules.
		AUTO=true
		IPVSADM_RULES=/etc/sysconfig/ipvsadm
	fi
	EVS_SETTINGS=/etc/evs/sysctl.conf EVS_MARKS=/etc/evs/marks
	DAEMON=none IFACE=eth0 SYNCID=0 IPVS_SAVE_ON_STOP=no
	for file in /etc/default/ipvsadm /etc/sysconfig/ipvsadm-config /etc/default/evs-ipvsadm; do
		if [ -r "$file" ]; then
			set +eu
			# shellcheck source=/dev/null
			. "$file"
			set -eu
		fi
	done
	# A link to the rules stays a link when they are saved.
	rules=$(readlink -m "$IPVSADM_RULES")

	# The sides of the synchronisation that this director takes.
	case $DAEMON in
	master | backup) roles=$DAEMON ;;
	both) roles="master backup" ;;
	none | "") roles= ;;
	*) die "DAEMON is $DAEMON, which is none of none, master, backup and both" ;;
	esac
}

auto() { [ "$AUTO" = true ]; }

# load fails when a line was refused, though the other lines are in force:
# ipvsadm-restore has the exit code of its last line only. Settings and marks come
# first, so that a service meets them, and each file of them as a whole or not at all.
load() {
	[ -r "$rules" ] || die "there are no rules to load: $rules cannot be read"
	refused=
	if [ -e "$EVS_SETTINGS" ]; then
		complaints=$(evs sysctl -p "$EVS_SETTINGS" 2>&1 >/dev/null) || refused=$complaints
	fi
	if [ -e "$EVS_MARKS" ]; then
		complaints=$(evs mark restore "$EVS_MARKS" 2>&1) || refused="$refused
$complaints"
	fi
	complaints=$(ipvsadm-restore <"$rules" 2>&1) || complaints=${complaints:-the last line failed}
	[ -z "$complaints" ] || refused="$refused
not all of $rules could be loaded:
$complaints"
	[ -z "$refused" ] || die "$refused"
}

# replace FILE ASIDE puts what was written aside in the place of a file, and keeps what
# the file held beside it.
replace() {
	if [ -e "$1" ]; then
		chmod --reference="$1" "$2"
		cp -p "$1" "$1.old"
	else
		chmod 0644 "$2"
	fi
	sync "$2"
	mv -f "$2" "$1"
}

# save never leaves the rules file without the rules: it is replaced when the
# new one is whole, and not by nothing. What it held is kept beside it, because
# a file written by hand may say more than a table can be saved as.
save() {
	aside=$(mktemp "$rules.XXXXXX")
	trap 'rm -f "$aside"' EXIT
	{
		echo "# Saved by ipvsadm-service."
		ipvsadm-save -n
	} >"$aside" || die "the table could not be read; $rules is left as it was"
	grep -q '^-A' "$aside" || die "the table is empty; $rules is left as it was"
	replace "$rules" "$aside"
	save_to "$EVS_SETTINGS" evs sysctl
	save_to "$EVS_MARKS" evs mark save
}

# save_to FILE COMMAND... has a file that there is hold what a command prints.
save_to() {
	[ -e "$1" ] || return 0
	file=$(readlink -m "$1")
	shift
	aside=$(mktemp "$file.XXXXXX")
	{
		echo "# Saved by ipvsadm-service."
		"$@"
	} >"$aside" || die "$* failed; $file is left as it was"
	replace "$file" "$aside"
}

start() {
	if auto; then
		load
	else
		note "AUTO is not true, so no rules are loaded"
	fi
	for role in $roles; do
		ipvsadm --start-daemon "$role" --mcast-interface "$IFACE" --syncid "$SYNCID" ||
			die "the $role daemon did not start"
	done
}

stop() {
	for role in $roles; do
		ipvsadm --stop-daemon "$role" || note "the $role daemon did not stop"
	done
	auto || return 0
	case $IPVS_SAVE_ON_STOP in
	# A table that could not be saved is no reason to go on serving it.
	yes | true | 1) (save) || note "the table was not saved" ;;
	esac
	ipvsadm -C
}

settings
case "${1:-}" in
start) start ;;
stop) stop ;;
reload) if auto; then load; fi ;;
load) load ;;
save) save ;;
flush) ipvsadm -C ;;
status) ipvsadm -Ln ;;
*)
	echo "usage: ipvsadm-service start|stop|reload|load|save|flush|status" >&2
	exit 2
	;;
esac
