package packet

// whole stands for all steps of a recording.
const whole = -1

// leftOut are the steps, by recording and number, that do not come out as
// recorded yet, and why. One that does is an error: this table can only shrink.
var leftOut = merge(
	left("the data path has no IPv6", recordings(
		"dr-v6", "gre-csum-v6", "gre-other-v6", "gue-csum-v6", "gue-nocsum-v6", "gue-v6", "ipip-other-v6",
		"gue-remcsum-v6", "gue-remcsum-other-v6", "gue-remcsum-other-v4", "gue-csum-other-v4", "gue-other-v4",
		"nat6-tcp", "nat6-ttl-tos", "nothing-v6", "ext-headers-dr", "ext-headers-ipip",
		"frag-dr-v6", "frag-gre-v6", "frag-ipip-v6",
		"icmp-dr-v6", "icmp-gre-v6", "icmp-ipip-v6", "icmp-nat-tcp-v6-verified", "icmp-nat-udp-v6",
		"server-initiated-v6", "toobig-dr-v6", "toobig-gre-v6", "toobig-gue-v6", "toobig-ipip-other-v4", "toobig-nat-v6",
	)),
	left("checksums of tunnels", recordings("gre-csum-v4", "gue-csum-v4", "toobig-gre-v4")),
	left("SCTP", recordings("sctp-nat6")),
	left("firewall marks", recordings("fwmark-all")),
	left("ICMP errors do not begin connections yet", recordings("schedule-icmp-v4")),
	left("refusals for a tunnel without a route", map[string][]int{"unreachable-server": {12, 13, 14, 15}}),
	left("masquerading to the director itself", map[string][]int{"local-server-v4": {21, 22, 23, 24, 25}}),
	left("a UDP packet without a checksum stays without one; the kernel gives it one", map[string][]int{"nat4-udp": {4, 5}}),
	left("the data path neither writes into IP options nor refuses source routes yet", map[string][]int{
		"ip-options-nat": {3, 4, 6}, "ip-options-dr": {3, 4, 6}, "dr-v4": {16}, "ipip-v4": {16}, "gre-v4": {16}, "gue-v4": {16},
	}),
	left("the data path does not fragment yet", map[string][]int{"toobig-dr-v4": {17}, "toobig-ipip-v4": {12, 17}}),
	left("an ICMP error with a wrong checksum is passed on as wrong, the kernel drops it", map[string][]int{"icmp-nat-tcp-v4": {34}}),
	left("ICMP errors from inside a tunnel are left to the host yet", map[string][]int{
		"icmp-ipip-v4": {10, 11, 12, 13, 15}, "icmp-gue-v4": {10, 11, 12, 13, 15},
	}),
	left("fragments that overtake the first are left to the kernel", map[string][]int{
		"frag-nat-v4": {6}, "frag-ipip-v4": {6}, "frag-gue-v4": {6},
	}),
)

// lost are packets that the kernel loses and EVS delivers.
var lost = []struct {
	recording, packet string // pattern of its name; the fragments' common note
	why               string
}{
	{"frag-*-v6", "TCP data", "the kernel does not find the connection of fragmented TCP over IPv6, and drops the packet"},
}

// recordings are whole ones.
func recordings(names ...string) map[string][]int {
	all := map[string][]int{}
	for _, name := range names {
		all[name] = []int{whole}
	}
	return all
}

func left(why string, steps map[string][]int) map[string]map[int]string {
	all := map[string]map[int]string{}
	for name, numbers := range steps {
		all[name] = map[int]string{}
		for _, n := range numbers {
			all[name][n] = why
		}
	}
	return all
}

// merge joins tables of different steps.
func merge(tables ...map[string]map[int]string) map[string]map[int]string {
	all := map[string]map[int]string{}
	for _, t := range tables {
		for name, steps := range t {
			if all[name] == nil {
				all[name] = map[int]string{}
			}
			for n, why := range steps {
				all[name][n] = why
			}
		}
	}
	return all
}
