package datapath

import (
	"math"
	"math/bits"
)

// Effect is what becomes of a setting.
type Effect int

// The effects.
const (
	Honoured Effect = iota // packets feel it
	Stored                 // kept, not acted on: EVS does what the default says
	Fixed                  // it has no meaning here, and cannot be changed
)

// Sysctl is a setting under the name it has in the kernel below net.ipv4.vs,
// or one of EVS's own.
type Sysctl struct {
	Name    string
	Kind    SysctlKind
	Default []int64
	Effect  Effect
	About   string // what it does, or of a fixed one why it means nothing here
	// at are its words in Settings.Sysctl; a fixed one has none.
	at []controlSysctl
}

// SysctlKind is what values a setting can have.
type SysctlKind struct {
	Min, Max int64
	Text     string // the range in words
	// Accept returns the words to be stored for those written, which are in
	// range; nil takes them as they are.
	Accept func(words []int64) ([]int64, bool)
}

// longest is the largest number of seconds that any kernel takes: one that
// counts a thousand jiffies a second. Others take more, of which a director
// has no use.
const longest = math.MaxInt32 / 1000

// The kinds. A kernel setting has the kernel's range, also where that has
// values of no use.
var (
	anyInt   = SysctlKind{Min: math.MinInt32, Max: math.MaxInt32, Text: "a number; 0 is off"}
	number   = SysctlKind{Min: math.MinInt32, Max: math.MaxInt32, Text: "a number"}
	unsigned = SysctlKind{Max: math.MaxUint32, Text: "0 to 4294967295"}
	seconds  = SysctlKind{Min: -longest, Max: longest, Text: "seconds, up to 2147483"}
	defense  = SysctlKind{Max: 3, Text: "0 to 3", Accept: automatic}
	retries  = SysctlKind{Max: 3, Text: "0 to 3"}
	text     = SysctlKind{Text: "a list"}
	hostBits = SysctlKind{Max: 16, Text: "0 to 16"}
	room     = SysctlKind{Max: maxBuckets * int64(slotsPerBucket) / slack * (slack - 1), Text: "0 to 234881024"}
	onOff    = SysctlKind{Max: 1, Text: "0 or 1"}
	threads  = SysctlKind{Min: 1, Max: math.MaxInt32, Text: "1, 2, 4, 8, …", Accept: powerOfTwo}
	turns    = SysctlKind{Max: math.MaxInt32, Text: "two numbers, the first the smaller one; or the second 0", Accept: withinPeriod}
)

// automatic is how the automatic modes read: 1 while there is no need, 2 while
// there is. Both mean automatic when written.
func automatic(words []int64) ([]int64, bool) {
	if words[0] == 2 {
		return []int64{1}, true
	}
	return words, true
}

func powerOfTwo(words []int64) ([]int64, bool) {
	return words, bits.OnesCount64(uint64(words[0])) == 1
}

func withinPeriod(words []int64) ([]int64, bool) {
	return words, words[0] < words[1] || words[1] == 0
}

// Sysctls are the settings by name, first those the kernel has too.
var Sysctls = []Sysctl{
	{"am_droprate", number, one(10), Honoured, "drop_packet 3 drops one packet in so many", at(controlSysctlSYSCTL_AM_DROPRATE)},
	{"amemthresh", number, one(1024), Honoured, "pages of the connection table below which, if so few are free, the automatic modes of drop_entry, drop_packet and secure_tcp set in; see below", at(controlSysctlSYSCTL_AMEMTHRESH)},
	{"backup_only", anyInt, one(0), Honoured, "a director that is a synchronisation backup leaves packets from clients to the host", at(controlSysctlSYSCTL_BACKUP_ONLY)},
	{"cache_bypass", anyInt, one(0), Honoured, "a connection of a firewall-mark service for which there is no destination, to an address not the director's own, goes on to where it was sent", at(controlSysctlSYSCTL_CACHE_BYPASS)},
	{"conn_reuse_mode", number, one(1), Honoured, "a client that opens its port again is scheduled anew: 0 never, 1 after TIME_WAIT and CLOSE, 2 also after FIN_WAIT where replies are not seen", at(controlSysctlSYSCTL_CONN_REUSE_MODE)},
	{"conntrack", anyInt, one(0), Fixed, "packets that EVS forwards pass no netfilter, so there is no entry of conntrack to keep", nil},
	{"debug_level", number, one(0), Fixed, "EVS writes nothing to the kernel's log: evs status counts by name what became of packets", nil},
	{"drop_entry", defense, one(0), Honoured, "half-open connections, and idle ones of few packets, are dropped at random to make room: 0 never, 1 when memory is short and 2 while it is, 3 always", at(controlSysctlSYSCTL_DROP_ENTRY)},
	{"drop_packet", defense, one(0), Honoured, "of the packets that begin connections one in so many is dropped: 0 none, 1 when memory is short and 2 while it is, the more the shorter, 3 always, by am_droprate", at(controlSysctlSYSCTL_DROP_PACKET)},
	{"est_cpulist", text, nil, Fixed, "rates are estimated by the table's timer, which has no threads to place on CPUs", nil},
	{"est_nice", number, one(0), Fixed, "rates are estimated by the table's timer, which has no threads to give a priority", nil},
	{"expire_nodest_conn", anyInt, one(0), Honoured, "a destination that is removed takes its connections with it, and one of weight 0 those whose client opens them again; with 0 packets to a removed destination are dropped, and it may come back", at(controlSysctlSYSCTL_EXPIRE_NODEST_CONN)},
	{"expire_quiescent_template", anyInt, one(0), Honoured, "a persistent client whose destination has weight 0 gets another one", at(controlSysctlSYSCTL_EXPIRE_QUIESCENT_TEMPLATE)},
	{"ignore_tunneled", anyInt, one(0), Fixed, "packets of protocols without ports are left to the kernel, and what it unwraps is not looked at again", nil},
	{"lblc_expiration", seconds, one(86400), Honoured, "how long lblc keeps an address with its destination unused", at(controlSysctlSYSCTL_LBLC_EXPIRATION)},
	{"lblcr_expiration", seconds, one(86400), Honoured, "how long lblcr keeps an address with its set of destinations unused", at(controlSysctlSYSCTL_LBLCR_EXPIRATION)},
	{"nat_icmp_send", anyInt, one(0), Honoured, "a packet from the port of a masqueraded server that belongs to no connection is answered by port unreachable; with 0 it passes", at(controlSysctlSYSCTL_NAT_ICMP_SEND)},
	{"pmtu_disc", anyInt, one(1), Honoured, "a packet with DF that is too big for its tunnel is refused; with 0 it is cut", at(controlSysctlSYSCTL_PMTU_DISC)},
	{"run_estimation", anyInt, one(1), Honoured, "rates are estimated; with 0 they stay as they are", at(controlSysctlSYSCTL_RUN_ESTIMATION)},
	{"schedule_icmp", anyInt, one(0), Honoured, "an ICMP error about a packet of no connection is scheduled as that packet would be", at(controlSysctlSYSCTL_SCHEDULE_ICMP)},
	{"secure_tcp", defense, one(0), Honoured, "a stricter machine of TCP states: 0 never, 1 when memory is short and 2 while it is, 3 always", at(controlSysctlSYSCTL_SECURE_TCP)},
	{"sloppy_sctp", anyInt, one(0), Honoured, "a connection may begin with any chunk of SCTP but an abort", at(controlSysctlSYSCTL_SLOPPY_SCTP)},
	{"sloppy_tcp", anyInt, one(0), Honoured, "a connection may begin with any packet of TCP but a reset", at(controlSysctlSYSCTL_SLOPPY_TCP)},
	{"snat_reroute", anyInt, one(1), Fixed, "a reply is routed once, when it has the VIP as its source", nil},
	{"sync_persist_mode", number, one(0), Stored, "1: of persistent services only the templates are synchronised", at(controlSysctlSYSCTL_SYNC_PERSIST_MODE)},
	{"sync_ports", threads, one(1), Stored, "ports, from 8848 on, that synchronisation is spread over", at(controlSysctlSYSCTL_SYNC_PORTS)},
	{"sync_qlen_max", unsigned, one(1 << 16), Stored, "synchronisation messages that may wait to be sent", at(controlSysctlSYSCTL_SYNC_QLEN_MAX)},
	{"sync_refresh_period", seconds, one(0), Stored, "a connection is synchronised again when its timer has moved by this", at(controlSysctlSYSCTL_SYNC_REFRESH_PERIOD)},
	{"sync_retries", retries, one(0), Stored, "how often a synchronisation message is repeated within an eighth of sync_refresh_period", at(controlSysctlSYSCTL_SYNC_RETRIES)},
	{"sync_sock_size", number, one(0), Stored, "bytes of the synchronisation socket's buffer; 0 for the system's", at(controlSysctlSYSCTL_SYNC_SOCK_SIZE)},
	{"sync_threshold", turns, []int64{3, 50}, Stored, "a connection is synchronised when its packets, counted modulo the second number, are the first", at(controlSysctlSYSCTL_SYNC_THRESHOLD, controlSysctlSYSCTL_SYNC_PERIOD)},
	{"sync_version", onOff, one(1), Stored, "version of the synchronisation protocol that is sent", at(controlSysctlSYSCTL_SYNC_VERSION)},

	{"conn_tab_size", room, one(0), Honoured, "EVS's own: the table has room for so many connections of IPv4 and as many of IPv6, 0: for as many as the machine's memory suggests; a change moves the connections to another table, and loses none; see docs/upgrade.md", at(controlSysctlSYSCTL_CONN_TAB_SIZE)},
	{"expire_udp_on_quiescent", onOff, one(0), Honoured, "EVS's own: a UDP flow whose destination has weight 0 or is gone is scheduled anew at once", at(controlSysctlSYSCTL_EXPIRE_UDP_ON_QUIESCENT)},
	{"mss_clamp", onOff, one(0), Honoured, "EVS's own: what a SYN of TCP announces is lowered to what the way has room for, tunnels included; see docs/tunnels.md for the real server's part", at(controlSysctlSYSCTL_MSS_CLAMP)},
	{"tun_rss_source", hostBits, one(0), Honoured, "EVS's own: the lowest bits of the source address of ipip and gre, so many, vary by connection, so that a server's card spreads them over its queues", at(controlSysctlSYSCTL_TUN_RSS_SOURCE)},
}

func one(n int64) []int64                        { return []int64{n} }
func at(places ...controlSysctl) []controlSysctl { return places }

// Get reads the setting.
func (s Sysctl) Get(from *Settings) []int64 {
	if s.Effect == Fixed {
		return s.Default
	}
	words := make([]int64, len(s.at))
	for i, place := range s.at {
		word := from.Sysctl[place]
		words[i] = int64(word)
		if s.Kind.Min < 0 {
			words[i] = int64(int32(word))
		}
	}
	return words
}

// Set writes the setting; words are of its kind.
func (s Sysctl) Set(to *Settings, words []int64) {
	for i, place := range s.at {
		to.Sysctl[place] = uint32(words[i])
	}
}

// Room is for how many connections the table is to have room, 0: as memory suggests.
func (s *Settings) Room() int { return int(s.Sysctl[controlSysctlSYSCTL_CONN_TAB_SIZE]) }
