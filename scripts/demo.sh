#!/usr/bin/env bash
# A load balancer from nothing, on this machine alone: a client behind a router,
# a director and two real servers, each a network namespace of its own. What is
# typed on the director is what one types on a Linux Virtual Server. The same
# requests go by masquerading, by tunnels and by direct routing, and a few over
# IPv6. The demo checks what it claims, and takes everything away again however
# it ends.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
export PATH=$root/bin:$PATH

lab=demo
vip=203.0.113.10
vip6=2001:db8:2::10
requests=200
director_ns=

bold='' dim='' green='' red='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi

step=0
title() {
	step=$((step + 1))
	printf '\n%s%d/10  %s%s\n' "$bold" "$step" "$1" "$plain"
}
say() { printf '%s\n' "$@"; }
good() { printf '%s✓ %s%s\n' "$green" "$1" "$plain"; }
fail() {
	printf '%s✗ %s%s\n' "$red" "$1" "$plain" >&2
	exit 1
}

# on NODE COMMAND shows the command as one would type it there, and runs it.
on() {
	prompt "$1" "$2"
	run "$1" "$2"
}
prompt() { printf '%s%s#%s %s\n' "$dim" "$1" "$plain" "$2"; }
run() { evs lab exec --name "$lab" "$1" sh -c "$2"; }

take_away() {
	evs lab exec --name "$lab" director evs unload >/dev/null 2>&1 || true
	evs lab down --name "$lab" >/dev/null 2>&1 || true
}
# What fails leaves its own message; this only cleans up behind it.
trap take_away EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# answers COUNT1 COUNT2 [URL] sends the requests and wants that many answered by
# each server, give or take one in fifty.
answers() {
	local get="evs lab get --requests $requests --concurrency 8 ${3:-http://$vip/}"
	local table got complete=yes
	prompt client1 "$get"
	table=$(run client1 "$get") || complete=no
	say "$table"
	[ "$complete" = yes ] || fail "not every request was answered"
	got=$(awk '$1 ~ /^(server1|192\.0\.2\.2(:[0-9]+)?)$/ { a = $2 }
		$1 ~ /^(server2|192\.0\.2\.3(:[0-9]+)?)$/ { b = $2 }
		END { print a + 0, b + 0 }' <<<"$table")
	awk -v want="$1 $2" -v slack=$((requests / 50)) '{
		split(want, w)
		exit !($1 + $2 == w[1] + w[2] && ($1 - w[1])^2 <= slack^2)
	}' <<<"$got" || fail "wanted $1 and $2 answers, got ${got/ / and }"
	good "server1 and server2 answered ${got/ / and } of $requests requests"
}

# another METHOD FLAG takes this lab away and sets up one for another method, with
# the service of the beginning.
another() {
	evs lab exec --name "$lab" director evs unload >/dev/null
	evs lab down --name "$lab"
	evs lab up --name "$lab" --servers 2 --family both --method "$1" >/dev/null
	director_ns=$(evs lab exec --name "$lab" director readlink /proc/self/ns/net)
	on director "ipvsadm -At $vip:80 -s rr"
	on director "ipvsadm -at $vip:80 -r 192.0.2.2 $2"
	on director "ipvsadm -at $vip:80 -r 192.0.2.3 $2"
}

# director_processes lists what runs in the director's network namespace.
director_processes() {
	local process
	for process in /proc/[0-9]*; do
		if [ "$(readlink "$process/ns/net" 2>/dev/null)" = "$director_ns" ]; then
			cat "$process/comm" 2>/dev/null || true
		fi
	done
}

# director_named tells whether the director's namespace still has a name.
director_named() {
	local name
	for name in /run/netns/*; do
		if [ "net:[$(stat -c %i "$name" 2>/dev/null)]" = "$director_ns" ]; then
			return 0
		fi
	done
	return 1
}

[ "$(id -u)" = 0 ] || fail "the demo makes network namespaces and loads eBPF programs: run it as root"
[ -x "$root/bin/evs" ] || fail "bin/evs is missing: run make demo"
start=$SECONDS
take_away # what a killed demo may have left

title "A client, a director and two real servers"
say "Each is a network namespace, joined by virtual cables:" \
	"" \
	"    client1 ── router ── director ──┬── server1  192.0.2.2" \
	"                   VIP $vip └── server2  192.0.2.3" \
	""
evs lab up --name "$lab" --servers 2 --family both
director_ns=$(evs lab exec --name "$lab" director readlink /proc/self/ns/net)
good "the laboratory stands"

title "A virtual service with two destinations"
say "The director takes requests to the VIP and deals them out in turn (rr)," \
	"rewriting addresses (-m, masquerading). This is all the set-up there is:"
on director "ipvsadm -C"
on director "ipvsadm -At $vip:80 -s rr"
on director "ipvsadm -at $vip:80 -r 192.0.2.2:80 -m -w 1"
on director "ipvsadm -at $vip:80 -r 192.0.2.3:80 -m -w 1"
on director "ipvsadm -ln"

title "Who answers"
say "Both servers share one address in the client's eyes. Half each, it should be:"
answers $((requests / 2)) $((requests / 2))

title "Three times the work for server1"
say "A scheduler is changed while packets flow; wrr heeds the weights:"
on director "ipvsadm -E -t $vip:80 -s wrr"
on director "ipvsadm -e -t $vip:80 -r 192.0.2.2:80 -m -w 3"
answers $((requests * 3 / 4)) $((requests / 4))

title "Nothing of EVS is running"
say "The table, the connections and the programs are in the kernel. ipvsadm wrote" \
	"them there and ended. The processes in the director's namespace:"
running=$(director_processes)
say "${running:-  (none)}"
if grep -qE '^(evs|ipvsadm)' <<<"$running"; then
	fail "an EVS process runs on the director"
fi
good "no evs, no ipvsadm"
say "And yet:"
answers $((requests * 3 / 4)) $((requests / 4))

title "What the kernel counted"
on director "ipvsadm -Ln --stats"
on director "ipvsadm -Lnc | head"

title "The same over IPv6"
on director "ipvsadm -At [$vip6]:80 -s rr"
on director "ipvsadm -at [$vip6]:80 -r [2001:db8:3::2]:80 -m"
on director "ipvsadm -at [$vip6]:80 -r [2001:db8:3::3]:80 -m"
answers $((requests / 2)) $((requests / 2)) "http://[$vip6]/"

title "By tunnels"
say "Now servers answer past the director. What comes to them is wrapped, they take it" \
	"out (evs realserver setup --vip $vip --method tunnel):"
another tunnel -i
on server1 "evs realserver status | head -n 3"
answers $((requests / 2)) $((requests / 2))

title "By direct routing"
say "The same without a wrapper: the director changes nothing but the frame's address" \
	"(evs realserver setup --vip $vip):"
another dr -g
answers $((requests / 2)) $((requests / 2))
on director "ipvsadm -Ln --stats"
say "No answer came by the director: OutPkts is 0."
outgoing=$(evs lab exec --name "$lab" director ipvsadm -Ln --stats | awk '$1 == "TCP" { print $5 }')
[ "$outgoing" = 0 ] || fail "$outgoing answers came by the director"

title "Taking it away"
on director "evs unload"
evs lab down --name "$lab"
trap - EXIT
if director_named || [ -n "$(director_processes)" ]; then
	fail "the director's namespace is still there"
fi
good "the namespaces are gone, and the table with them"

printf '\n%sdemo passed in %d s%s\n' "$bold$green" $((SECONDS - start)) "$plain"
