package ipvsadm

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
)

func TestLargeCountersAreInUnits(t *testing.T) {
	for _, c := range []struct {
		n             uint64
		figure, exact string
	}{
		{0, "        0", "        0"},
		{99999999, " 99999999", " 99999999"},
		{100000000, "  100000K", " 100000000"},
		{999999999, "  999999K", " 999999999"},
		{1000000000, "    1000M", " 1000000000"},
		{99999999999, "   99999M", " 99999999999"},
		{100000000000, "     100G", " 100000000000"},
		{99999999999999, "   99999G", " 99999999999999"},
		{100000000000000, "     100T", " 100000000000000"},
		{18446744073709551615, "18446744T", " 18446744073709551615"},
	} {
		if got := figure(c.n, false); got != c.figure {
			t.Errorf("%d is printed as %q, want %q", c.n, got, c.figure)
		}
		if got := figure(c.n, true); got != c.exact {
			t.Errorf("%d is printed exactly as %q, want %q", c.n, got, c.exact)
		}
	}
}

// conn is a connection between the addresses of a recorded line.
func conn(p ipvs.Protocol, state, client, virtual, server string) ipvs.Conn {
	return ipvs.Conn{Protocol: p, State: state, Client: netip.MustParseAddrPort(client),
		Virtual: netip.MustParseAddrPort(virtual), Destination: netip.MustParseAddrPort(server)}
}

func TestAConnectionIsPrintedAsRecorded(t *testing.T) {
	sip := conn(ipvs.UDP, "NONE", "192.0.2.10:0", "198.51.100.129:5060", "203.0.113.1:5060")
	sip.Engine, sip.EngineData = "sip", "call-4@client.example"
	mark := conn(0, "ASSURED", "192.0.2.138:0", "0.0.0.0:0", "203.0.113.12:0")
	mark.FWMark = 9
	mark6 := conn(0, "NONE", "[2001:db8:1::17]:0", "[::]:0", "[2001:db8:3::8]:0")
	mark6.FWMark = 9
	long := conn(ipvs.TCP, "ESTABLISHED", "192.0.2.1:1500", "198.51.100.129:80", "203.0.113.2:80")
	long.Expires = 15*time.Minute - time.Millisecond
	for _, c := range []struct {
		name   string
		conn   ipvs.Conn
		format Format
		want   string
	}{
		{"the time left is rounded down", long, Format{Numeric: true},
			"TCP 14:59  ESTABLISHED 192.0.2.1:1500     198.51.100.129:80  203.0.113.2:80"},
		{"names are for hosts and services", long, Format{},
			"TCP 14:59  ESTABLISHED 192.0.2.1:1500     vip.example:http   203.0.113.2:http"},
		{"long addresses push what follows",
			conn(ipvs.TCP, "SYN_RECV", "[2001:db8:1::1]:1700", "[2001:db8:2::81]:80", "[2001:db8:3::1]:8080"),
			Format{}, "TCP 00:00  SYN_RECV    [2001:db8:1::1]:1700 [vip6.example]:http [2001:db8:3::1]:http-alt"},
		{"the engine's key is shown on demand", sip, Format{Numeric: true, PersistentConn: true},
			"UDP 00:00  NONE        192.0.2.10:0       198.51.100.129:5060 203.0.113.1:5060 sip                call-4@client.example"},
		{"without demand it is not", sip, Format{Numeric: true},
			"UDP 00:00  NONE        192.0.2.10:0       198.51.100.129:5060 203.0.113.1:5060"},
		{"a mark stands in the virtual address", mark, Format{Numeric: true},
			"IP  00:00  ASSURED     192.0.2.138:0      0.0.0.9:0          203.0.113.12:0"},
		{"and in an IPv6 one", mark6, Format{Numeric: true},
			"IP  00:00  NONE        [2001:db8:1::17]:0 [0:9::]:0          [2001:db8:3::8]:0"},
		{"sctp is a letter longer",
			conn(ipvs.SCTP, "C-ECHOED", "192.0.2.28:6000", "198.51.100.129:9899", "203.0.113.3:9899"),
			Format{Numeric: true}, "SCTP 00:00  C-ECHOED    192.0.2.28:6000    198.51.100.129:9899 203.0.113.3:9899"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			p := Printer{Out: &out, Names: testNames, Format: c.format}
			p.conn(c.conn)
			if got := strings.TrimSuffix(out.String(), "\n"); got != c.want {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestAddressesAreWrittenAsInC(t *testing.T) {
	for _, want := range []string{
		"198.51.100.1", "::", "::1", "::ffff:198.51.100.1", "::198.51.100.1", "2001:db8::1:0:0:1", "1:0:3:4:5:6:7:8",
	} {
		if got := formatAddr(netip.MustParseAddr(want)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func ExamplePrinter_Rules() {
	p := Printer{Out: os.Stdout, Format: Format{Numeric: true}}
	p.Rules([]ipvs.ServiceInfo{{
		Service: ipvs.Service{
			ServiceKey: ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("198.51.100.129:80")),
			Scheduler:  "wrr",
		},
		Destinations: []ipvs.DestinationInfo{{Destination: ipvs.Destination{
			Addr: netip.MustParseAddrPort("203.0.113.1:8080"), Method: ipvs.Masquerade, Weight: 3,
		}}},
	}})
	// Output:
	// -A -t 198.51.100.129:80 -s wrr
	// -a -t 198.51.100.129:80 -r 203.0.113.1:8080 -m -w 3
}
