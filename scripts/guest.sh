#!/bin/sh
# Process 1 of a guest that kernels.sh boots: what EVS has to do on an older kernel. It
# says "passed" last, or something is wrong.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
while read -r module; do insmod "/modules/$module.ko"; done </modules/order
uname -r

say() { echo "[$(cut -d' ' -f1 /proc/uptime)] $*"; }
fail() {
	say "kernels: $*"
	cat /run/out
	on evs status
	poweroff -f
}
on() { evs lab exec --name k director "$@"; }
# quietly COMMAND... keeps what it prints for when it fails.
quietly() { "$@" >/run/out 2>&1 || fail "failed: $*"; }
# until_so COMMAND... waits until it succeeds.
until_so() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
		"$@" && return
		sleep 1
	done
	fail "still not: $*"
}

# What the tests of the package say here: how far the verifier is from its limit, and
# both ways to attach by tc, of which the older has to do where the kernel has no other.
package() {
	mkdir -p /run/netns
	datapath.test -test.v -test.run "$1" >/run/out 2>&1 || fail "internal/datapath: $1"
	grep -E '^(---|    ---|    complexity)' /run/out
}

# What the kernel cannot do, EVS does the older way: before 6.6 there is no tcx.
by_its_own_tc() {
	quietly on tc filter show dev outside ingress
	case $(uname -r) in
	6.[1-5].*) grep -q evs_tc /run/out || fail "no clsact filter, though the kernel has no tcx" ;;
	*) grep -q evs_tc /run/out && fail "a clsact filter, though the kernel has tcx" ;;
	esac
}

# asks URL wants both servers to answer three of six requests.
asks() {
	quietly evs lab get --name k --timeout 60s --requests 6 "$1"
	for server in server1 server2; do
		grep -q "^$server *3 " /run/out || fail "$1: $server did not answer its three"
	done
}

# serves FLAGS makes the services of both families over both servers, by FLAGS.
serves() {
	for port in t:80 u:7; do
		for vip in 203.0.113.10,192.0.2. '[2001:db8:2::10],[2001:db8:3::'; do
			service="-${port%:*} ${vip%,*}:${port#*:}" real=${vip#*,}
			end=$([ "$real" = 192.0.2. ] || echo ']'):${port#*:}
			# shellcheck disable=SC2086
			{
				quietly on ipvsadm -A $service -s rr
				quietly on ipvsadm -a $service -r "${real}2$end" $1
				quietly on ipvsadm -a $service -r "${real}3$end" $1
			}
		done
	done
}

# carries FLAGS has the lab answer by both doors, families and protocols, by FLAGS, and
# its connections expire.
carries() {
	quietly on ipvsadm -C
	serves "$1"
	for door in tc xdp; do
		quietly on evs attach --mode $door
		for vip in 203.0.113.10 '[2001:db8:2::10]'; do
			asks "http://$vip/"
			asks "udp://$vip:7"
		done
		until_so no_connection '^udp'
		say "$1 by $door: answered, and expired"
	done
}

no_connection() { ! on evs connection list | grep "$1" >/run/left; }
established() { on evs connection list --state established | grep -q ESTABLISHED; }

# shares checks that weights are kept, that a connection outlives the programs, and that
# it is ended with a reset.
shares() {
	quietly on ipvsadm -A -t 203.0.113.10:80 -s wrr
	quietly on ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.2 -m -w 3
	quietly on ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.3 -m -w 1
	quietly evs lab get --name k --timeout 60s --requests 100 --concurrency 4 http://203.0.113.10/
	grep -q '^server1 *75 ' /run/out || fail "server1 did not get its three quarters"
	by_its_own_tc
	say "shares of the weights: kept"
	evs lab exec --name k client1 nc 203.0.113.10 80 </dev/console & # which says nothing
	until_so established
	quietly on evs upgrade
	cat /run/out
	by_its_own_tc
	quietly on evs resize --conns 20000
	established || fail "the upgrade or the move to another table ended a connection"
	quietly evs lab get --name k --timeout 60s --requests 4 http://203.0.113.10/
	say "upgraded, and resized: the connection stayed"
	quietly on evs connection flush --state established --reset=both
	grep -q 'answered yet: 0' /run/out || fail "a client that waits was not asked"
	wait # until it is reset
	established && fail "a connection is left"
	say "connections flushed: reset"
}

# lab METHOD has a lab of the method pass its tests.
lab() {
	quietly evs lab up --name k --method "$1" --family both --xdp
	quietly on ipvsadm --set 900 120 1
	"$1"
	quietly on evs unload
	quietly evs lab down --name k
}

nat() {
	shares
	carries -m
}

# Servers of a lab of tunnels take what is routed to them directly, too.
tunnel() {
	carries -g
	for kind in ipip gue gre; do
		for server in server1 server2; do
			quietly evs lab exec --name k $server evs realserver setup --vip 203.0.113.10,2001:db8:2::10 \
				--method tunnel --interface eth0 --decap evs --tun-type $kind
		done
		carries "-i --tun-type $kind $([ $kind != gue ] || echo --tun-port 6080)"
	done
}

say booted
package 'Verifier|Clsact'
lab nat
lab tunnel
echo passed
poweroff -f
