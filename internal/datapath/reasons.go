package datapath

import (
	"fmt"
	"strings"
	"sync"

	"github.com/cilium/ebpf/btf"
)

// Reason is a row of enum reason: what can become of a packet, apart from being
// forwarded.
type Reason struct {
	Name  string
	About string
}

// HalfOpenEvicted is the name of the reason that counts half-open connections which
// gave way to newer ones.
const HalfOpenEvicted = "half_open_evicted"

// Reasons explains every row of enum reason to whoever reads the counters, in
// the enum's order.
var Reasons = []Reason{
	{"new_connection", "connections made"},
	{"reopened", "connections in TIME_WAIT or CLOSE ended because their client opened them anew"},
	{"expired", "connections ended because their destination is gone or quiescent, as the settings ask"},
	{"slow_path", "packets XDP left to tc: next hop not resolved, or an interface without XDP"},
	{"table_full", "new connections dropped: no slot in the connection table"},
	{"no_destination", "new connections refused: no destination that may take them"},
	{"no_connection", "packets refused: from the port of a masqueraded server, and of no connection, as nat_icmp_send asks"},
	{"destination_gone", "packets dropped: their connection's destination was removed"},
	{"not_a_start", "packets left to the kernel: to a service, but no connection and no start of one"},
	{"method_unsupported", "new connections dropped: forwarding method not in this data path"},
	{"scheduler_unsupported", "new connections dropped: scheduler not in this data path"},
	{"ttl_exceeded", "packets refused: time to live used up"},
	{"too_big", "packets refused: larger than the way to the server takes, and not to be cut"},
	{"no_route", "packets dropped: no route to the server or client"},
	{"forwarding_disabled", "packets dropped: forwarding is off; run `evs director setup`"},
	{"malformed", "packets left to the kernel: not as long as they say"},
	{"fragment", "fragments kept until the first of their packet comes, which they had overtaken"},
	{"fragment_lost", "fragments that were kept and lost: the first did not come in time, or too many waited"},
	{"fragment_dropped", "fragments dropped: a first one without its whole transport header, or one too large to be kept"},
	{"rewrite_failed", "packets dropped: could not be written"},
	{"new_template", "persistence templates made"},
	{"one_packet", "packets scheduled by themselves, without a connection"},
	{"no_call_id", "new connections dropped: no Call-ID for the persistence engine sip"},
	{"uncut", "packets dropped: several in one, for a tunnel with a checksum, and not cut before; see docs/tunnels.md"},
	{"dropped_packet", "packets dropped by drop_packet: they would have begun connections"},
	{"dropped_entry", "connections and templates ended by drop_entry, to make room"},
	{"bypassed", "connections past the destinations, to where they were sent, as cache_bypass asks"},
	{HalfOpenEvicted, "half-open connections, and templates made for them, that gave way to newer ones; see docs/floods.md"},
	{"reset", "segments of connections that are reset: they became a reset, or two; see docs/connections.md"},
}

// ReasonNames returns the names of enum reason in order, in lower case and
// without their prefix. They come from the type information of the data path,
// so that a reason is named in one place.
var ReasonNames = sync.OnceValues(func() ([]string, error) {
	spec, err := loadControl()
	if err != nil {
		return nil, fmt.Errorf("compiled data path: %w", err)
	}
	var reason *btf.Enum
	if err := spec.Types.TypeByName("reason", &reason); err != nil {
		return nil, fmt.Errorf("names of reasons: %w", err)
	}
	var names []string
	for _, v := range reason.Values {
		if name := strings.TrimPrefix(v.Name, "REASON_"); name != "COUNT" {
			names = append(names, strings.ToLower(name))
		}
	}
	return names, nil
})
