package director

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
)

func web(scheduler string) ipvs.Service {
	key := ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("203.0.113.10:80"))
	return ipvs.Service{ServiceKey: key, Scheduler: scheduler}.WithDefaults()
}

func server(n int, weight int32) ipvs.Destination {
	return ipvs.Destination{Addr: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:80", n)), Weight: weight}
}

// specOf is a service with destinations in the order in which they are added.
func specOf(s ipvs.Service, destinations ...ipvs.Destination) []ipvs.ServiceSpec {
	return []ipvs.ServiceSpec{{Service: s, Destinations: destinations}}
}

// infoOf is such a service in the table: server n has n active connections, and 10
// that are not.
func infoOf(s ipvs.Service, destinations ...ipvs.Destination) []ipvs.ServiceInfo {
	info := ipvs.ServiceInfo{Service: s}
	for i := len(destinations) - 1; i >= 0; i-- {
		d := destinations[i]
		n := d.Addr.Addr().As4()[3]
		info.Destinations = append(info.Destinations, ipvs.DestinationInfo{Destination: d, LastWeight: max(d.Weight, 1), Active: uint32(n), Inactive: 10})
	}
	return []ipvs.ServiceInfo{info}
}

// bare is a table with nothing but these services.
func bare(services []ipvs.ServiceInfo) Running {
	return Running{
		Services: services, Settings: ipvs.SysctlDefaults(), Mode: ipvs.AttachAuto,
		Timeouts: ipvs.Timeouts{TCP: 900 * time.Second, TCPFin: 120 * time.Second, UDP: 300 * time.Second},
	}
}

func rule(prefix string, mark uint32) ipvs.MarkRule {
	return ipvs.MarkRule{Destination: netip.MustParsePrefix(prefix), Mark: mark}
}

// lines are changes as sentences.
func lines(plan []Change) string {
	var b strings.Builder
	for _, c := range plan {
		fmt.Fprintf(&b, "%s %s %s: %s -> %s, %d", c.Op, c.What, c.Name, c.From, c.To, c.Connections)
		if c.Moved != nil {
			fmt.Fprintf(&b, ", %.2f", *c.Moved)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestAPlanNamesEveryDifferenceAndTheConnectionsItTouches(t *testing.T) {
	masq := server(2, 1)
	masq.Method = ipvs.Masquerade
	tunnel := server(2, 1)
	tunnel.Method, tunnel.Upper = ipvs.Tunnel, 9
	persistent := web("rr")
	persistent.Persistent, persistent.Timeout = true, 300
	for _, test := range []struct {
		name string
		have Running
		want Wanted
		plan string
	}{
		{"a table that is as wanted", bare(infoOf(web("rr"), server(1, 1), server(2, 1))), Wanted{Services: specOf(web("rr"), server(1, 1), server(2, 1))}, ""},
		{"the first service", bare(nil), Wanted{Services: specOf(web("rr"), masq)},
			"add service :  -> scheduler rr, destinations 1, 0\n"},
		{"the last service goes", bare(infoOf(web("rr"), server(1, 1), server(2, 1))), Wanted{},
			"remove service : scheduler rr, destinations 2 -> , 23\n"},
		{"another scheduler, and persistence", bare(infoOf(web("wlc"), server(1, 1))), Wanted{Services: specOf(persistent, server(1, 1))},
			"edit service : scheduler wlc, no persistent -> scheduler rr, persistent 300s, 11\n"},
		{"servers go, come, and get another weight", bare(infoOf(web("rr"), server(1, 1), server(2, 1))), Wanted{Services: specOf(web("rr"), server(2, 5), server(3, 1))},
			"remove destination 192.0.2.1:80: method masq, weight 1 -> , 11\nadd destination 192.0.2.3:80:  -> method masq, weight 1, 0\nweight destination 192.0.2.2:80: weight 1 -> weight 5, 12\n"},
		{"another method is more than a weight", bare(infoOf(web("rr"), masq)), Wanted{Services: specOf(web("rr"), tunnel)},
			"edit destination 192.0.2.2:80: method masq, no upper, no tunnel-type -> method tunnel, upper 9, tunnel-type ipip, 12\n"},
		{"another order", bare(infoOf(web("rr"), server(1, 1), server(2, 1))), Wanted{Services: specOf(web("rr"), server(2, 1), server(1, 1))},
			"reorder service :  -> order of the file, 23\n"},
		{"of hashed clients it says how many move", bare(infoOf(web("mh"), server(1, 1), server(2, 1))), Wanted{Services: specOf(web("mh"), server(1, 1))},
			"remove destination 192.0.2.2:80: method masq, weight 1 -> , 12, 0.50\n"},
		{"where the hash is another, nobody can tell", bare(infoOf(web("sh"), server(1, 1))), Wanted{Services: specOf(web("mh"), server(1, 1))},
			"edit service : scheduler sh -> scheduler mh, 11\n"},
		{"a service of no server that gets one moves nobody", bare(infoOf(web("sh"))), Wanted{Services: specOf(web("sh"), server(1, 1))},
			"add destination 192.0.2.1:80:  -> method masq, weight 1, 0, 0.00\n"},
		{"settings and timeouts that are named", bare(infoOf(web("rr"), server(1, 1))),
			Wanted{Services: specOf(web("rr"), server(1, 1)), Timeouts: ipvs.Timeouts{UDP: 30 * time.Second},
				Settings: []ipvs.SysctlValue{{Name: "mss_clamp", Value: "1"}, {Name: "sync_threshold", Value: "0x5"}, {Name: "conn_reuse_mode", Value: "0x1"}}},
			"edit setting sync_threshold: 3 50 -> 5 50, 11\nedit setting mss_clamp: 0 -> 1, 11\nedit timeout udp: 5m0s -> 30s, 11\n"},
		{"modes of interfaces", Running{Mode: ipvs.AttachTC, Settings: ipvs.SysctlDefaults(), Attachments: []ipvs.Attachment{
			{Interface: "eth0", Mode: ipvs.AttachTC}, {Interface: "eth1", Mode: ipvs.AttachOff}, {Interface: "eth2", Mode: ipvs.AttachXDP}}},
			Wanted{Mode: ipvs.AttachAuto, Interfaces: map[string]ipvs.AttachMode{"eth2": ipvs.AttachXDP}},
			"edit interface all others: tc -> auto, 0\nedit interface eth1: off -> auto, 0\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.want.Mode == "" {
				test.want.Mode = ipvs.AttachAuto
			}
			plan := Plan(test.have, test.want)
			if got := lines(plan); got != test.plan {
				t.Errorf("got\n%swant\n%s", got, test.plan)
			}
		})
	}
}

func TestRulesOfMarksAreComparedByTheirPackets(t *testing.T) {
	lan, host, other := rule("203.0.113.0/24", 1), rule("203.0.113.10/32", 2), rule("198.51.100.0/24", 3)
	udp := lan
	udp.Protocol = ipvs.UDP
	changed := host
	changed.Mark = 9
	for _, test := range []struct {
		name       string
		have, want []ipvs.MarkRule
		plan       string
	}{
		{"in whatever order they are written, the longer prefix is first", []ipvs.MarkRule{host, lan}, []ipvs.MarkRule{lan, host}, ""},
		{"one comes, one goes, one has another mark", []ipvs.MarkRule{host, lan}, []ipvs.MarkRule{changed, other},
			"remove mark --destination 203.0.113.0/24: 1 -> , 0\nedit mark --destination 203.0.113.10: 2 -> 9, 0\nadd mark --destination 198.51.100.0/24:  -> 3, 0\n"},
		{"of equal prefixes the order counts", []ipvs.MarkRule{lan, udp}, []ipvs.MarkRule{udp, lan}, "reorder mark :  -> order of the file, 0\n"},
		{"all go", []ipvs.MarkRule{lan}, nil, "remove mark --destination 203.0.113.0/24: 1 -> , 0\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			have := bare(nil)
			have.Marks = test.have
			if got := lines(Plan(have, Wanted{Mode: ipvs.AttachAuto, Marks: test.want})); got != test.plan {
				t.Errorf("got\n%swant\n%s", got, test.plan)
			}
		})
	}
}

func TestWhatIsKeptIsNoChange(t *testing.T) {
	have := bare(infoOf(web("mh"), server(1, 0), server(2, 3)))
	have.Settings[4].Value, have.Marks = "0", []ipvs.MarkRule{rule("203.0.113.0/24", 1)}
	have.Mode, have.Attachments = ipvs.AttachTC, []ipvs.Attachment{{Interface: "eth0", Mode: ipvs.AttachTC}, {Interface: "eth1", Mode: ipvs.AttachOff}}
	if plan := Plan(have, have.Kept()); len(plan) > 0 {
		t.Errorf("to keep it one has to\n%s", lines(plan))
	}
	if got := have.Kept().Services; !reflect.DeepEqual(got, specOf(web("mh"), server(1, 0), server(2, 3))) {
		t.Errorf("kept are %v", got)
	}
}
