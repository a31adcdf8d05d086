package packet

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
)

// defended are the settings that have automatic modes.
var defended = []string{"drop_entry", "drop_packet", "secure_tcp"}

func setAll(t *testing.T, b *bed.Bed, names []string, value string) {
	t.Helper()
	for _, name := range names {
		if err := b.Table().SetSysctl(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

// modes are what the settings read, in order.
func modes(t *testing.T, b *bed.Bed) string {
	t.Helper()
	var all []string
	for _, name := range defended {
		s, err := b.Table().Sysctl(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s.Value)
	}
	return strings.Join(all, " ")
}

// flow6 is flow over IPv6.
func flow6(proto, flags string, n int) bed.Packet {
	p := flow(proto, flags, n)
	p.Src = netip.MustParseAddr(fmt.Sprintf("2001:db8:1::%x", 1+n%250))
	p.Dst = netip.MustParseAddr("2001:db8:2::81")
	return p
}

// Memory is short when less than a quarter of so small a table is free: at four
// fifths, a quarter less a fifth is missing, which is a fifth of what is wanted.
func TestTheAutomaticDefencesAreAtWorkWhileMemoryIsShort(t *testing.T) {
	for _, family := range []struct {
		vip, server string
		flow        func(proto, flags string, n int) bed.Packet
	}{
		{"198.51.100.129", "203.0.113.1", flow},
		{"[2001:db8:2::81]", "[2001:db8:3::1]", flow6},
	} {
		t.Run(family.vip, func(t *testing.T) {
			t.Parallel()
			b := beds.Lend(t, ipvs.AttachXDP)
			for _, proto := range []string{"-t", "-u"} {
				vip := fmt.Sprintf("%s %s:80", proto, family.vip)
				commands(t, b, "-A "+vip+" -s rr\n-a "+vip+" -r "+family.server+":80 -g")
			}
			r := newRunner(t, doors[1], b)
			status, err := b.Table().Status()
			if err != nil {
				t.Fatal(err)
			}
			setAll(t, b, defended, "2")
			if got := modes(t, b); got != "1 1 1" {
				t.Errorf("of an empty table the modes read %s", got)
			}
			setAll(t, b, defended[1:2], "0")
			for n := range status.Capacity * 4 / 5 {
				if err := r.pass(family.flow("udp", "", n)); err != nil {
					t.Fatal(err)
				}
			}
			advance(t, b, time.Second)
			if got := modes(t, b); got != "2 0 2" {
				t.Errorf("of a table with a fifth free the modes read %s", got)
			}
			setAll(t, b, defended[1:2], "1")
			if got := modes(t, b); got != "2 2 2" {
				t.Errorf("a mode that is set while memory is short reads: %s", got)
			}
			dropped := 0
			for n := range 100 {
				if v := r.verdictOf(t, family.flow("tcp", "S", n)); v == drop {
					dropped++
				}
			}
			if counted := counters(t, b)["dropped_packet"]; dropped < 15 || dropped > 25 || counted != uint64(dropped) {
				t.Errorf("of 100 connections %d were dropped, %d counted, want one in five", dropped, counted)
			}
			half := strings.Join(statesOf(t, b, ipvs.TCP), " ")
			if half != "SYNACK" {
				t.Errorf("secure_tcp is at work, and connections are %s", half)
			}

			if err := b.Table().SetSysctl("amemthresh", "0"); err != nil {
				t.Fatal(err)
			}
			if got := modes(t, b); got != "1 1 1" {
				t.Errorf("with nothing wanted free the modes read %s", got)
			}
			if err := b.Table().SetSysctl("amemthresh", "1024"); err != nil {
				t.Fatal(err)
			}
			advance(t, b, 10*time.Minute) // all have expired
			advance(t, b, time.Second)
			if got := modes(t, b); got != "1 1 1" {
				t.Errorf("of a table that is empty again the modes read %s", got)
			}
			for n := range 50 {
				if err := r.pass(family.flow("tcp", "S", n)); err != nil {
					t.Fatal(err)
				}
			}
			if half := strings.Join(statesOf(t, b, ipvs.TCP), " "); half != "SYN_RECV" {
				t.Errorf("secure_tcp is not at work, and connections are %s", half)
			}
		})
	}
}

// statesOf are the states that connections of a protocol are in.
func statesOf(t *testing.T, b *bed.Bed, proto ipvs.Protocol) (states []string) {
	t.Helper()
	seen := map[string]bool{}
	for c, err := range b.Table().Conns() {
		if err != nil {
			t.Fatal(err)
		}
		if c.Protocol == proto && !c.Template && !seen[c.State] {
			seen[c.State] = true
			states = append(states, c.State)
		}
	}
	return states
}

// population is what of a table that drop_entry visits is left, by kind.
type population struct{ halfOpen, few, many, udp, templates int }

// The kinds have clients of their own: so many of each.
const dwellers = 1000

func populationOf(t *testing.T, b *bed.Bed) (p population) {
	t.Helper()
	for c, err := range b.Table().Conns() {
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case c.Template:
			p.templates++
		case c.Protocol == ipvs.UDP:
			p.udp++
		case c.State == "SYN_RECV":
			p.halfOpen++
		case c.Client.Addr().As4()[3] < 100:
			p.few++
		default:
			p.many++
		}
	}
	return p
}

// dweller is a packet of the nth client of a kind, by the address they come from.
func dweller(proto, flags string, kind byte, n int) bed.Packet {
	p := flow(proto, flags, 0)
	p.Src, p.Sport = netip.AddrFrom4([4]byte{192, 0, 2, kind + byte(n/500)}), uint16(2000+n%500)
	return p
}

// A visit is of one bucket in 32 a second, the table's timer goes on meanwhile, and
// what was idle for a minute goes by its number of packets.
func TestDropEntryEndsWhatTheKernelWould(t *testing.T) {
	t.Parallel()
	b := beds.Lend(t, ipvs.AttachTC)
	r := newRunner(t, doors[0], b)
	for _, vip := range []string{"-t 198.51.100.129:80", "-u 198.51.100.129:80"} {
		commands(t, b, "-A "+vip+" -s rr\n-a "+vip+" -r 203.0.113.1:80 -g")
	}
	command(t, b, "-A -t 198.51.100.129:81 -s rr -p 3600")
	command(t, b, "-a -t 198.51.100.129:81 -r 203.0.113.1:81 -g")
	setAll(t, b, defended[:1], "1") // counts packets, drops nothing
	for n := range dwellers {
		packets := []bed.Packet{
			dweller("tcp", "S", 10, n),
			dweller("tcp", "S", 20, n), dweller("tcp", "A", 20, n),
			dweller("tcp", "S", 120, n), dweller("udp", "", 30, n),
		}
		for range 8 {
			packets = append(packets, dweller("tcp", "A", 120, n))
		}
		if n < 200 { // each client has a template
			p := dweller("tcp", "S", 0, 0)
			p.Src, p.Dport = netip.AddrFrom4([4]byte{192, 0, 2, byte(40 + n%50)}), 81
			p.Sport = uint16(3000 + n)
			packets = append(packets, p)
		}
		for _, p := range packets {
			if err := r.pass(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	const templates = 50
	want := population{dwellers + 200, dwellers, dwellers, dwellers, templates}
	if got := populationOf(t, b); got != want {
		t.Fatalf("before: %+v, want %+v", got, want)
	}
	setAll(t, b, defended[:1], "3")
	for range 10 {
		advance(t, b, time.Second)
	}
	got := populationOf(t, b)
	if got.halfOpen < want.halfOpen/3 || got.halfOpen > want.halfOpen*85/100 {
		t.Errorf("of %d half-open connections %d are left after 10 seconds, want about 73 %%", want.halfOpen, got.halfOpen)
	}
	if got.few != dwellers || got.many != dwellers || got.udp != dwellers {
		t.Errorf("what was not idle for a minute went: %+v", got)
	}
	const began = 4*dwellers + 200 + templates
	added(t, b, began)
	advance(t, b, 70*time.Second)
	setAll(t, b, defended[:1], "3")
	for range 100 {
		advance(t, b, time.Second)
	}
	got = populationOf(t, b)
	if got.many != dwellers {
		t.Errorf("of %d connections of many packets %d are left", dwellers, got.many)
	}
	if got.udp > dwellers/10 { // (31/32)^100 of those of one packet
		t.Errorf("of %d idle flows of one packet %d are left after 100 seconds, want about 4 %%", dwellers, got.udp)
	}
	if got.few <= got.udp || got.few > dwellers/2 { // (63/64)^100 of those of two
		t.Errorf("of %d idle connections of two packets %d are left after 100 seconds, want about 20 %%", dwellers, got.few)
	}
	if got.halfOpen != 0 || got.templates > templates/4 {
		t.Errorf("half-open connections have run out, and templates that were never answered go one by one: %+v", got)
	}
	added(t, b, began)
}

// added stops the drops, and checks that counts are those of the table, and that as
// many are gone as were counted as dropped.
func added(t *testing.T, b *bed.Bed, began int) {
	t.Helper()
	setAll(t, b, defended[:1], "1")
	advance(t, b, 0) // what was under way is done
	p := populationOf(t, b)
	services, err := b.Table().Services()
	if err != nil {
		t.Fatal(err)
	}
	var counted population
	for _, s := range services {
		for _, d := range s.Destinations {
			counted.halfOpen += int(d.Active + d.Inactive)
			counted.templates += int(d.Persistent)
		}
	}
	conns := p.halfOpen + p.few + p.many + p.udp
	if counted.halfOpen != conns || counted.templates != p.templates {
		t.Errorf("%d connections and %d templates, counted are %d and %d", conns, p.templates, counted.halfOpen, counted.templates)
	}
	if dropped := int(counters(t, b)["dropped_entry"]); dropped == 0 || dropped > began-conns-p.templates {
		t.Errorf("%d were counted as dropped, of %d there are %d", dropped, began, conns+p.templates)
	}
}

// What comes to the table while the director sleeps, sleeps too.
func TestADirectorThatSleepsAsABackupWakesWithAllItHas(t *testing.T) {
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			b := beds.Lend(t, d.mode)
			r := newRunner(t, d, b)
			if err := b.Table().SetSysctl("backup_only", "1"); err != nil {
				t.Fatal(err)
			}
			command(t, b, "--start-daemon backup --mcast-interface lo")
			commands(t, b, "-A -t 198.51.100.129:80 -s rr\n-a -t 198.51.100.129:80 -r 203.0.113.1:8080 -m\n-A -f 3 -s rr\n-a -f 3 -r 203.0.113.1 -g")
			if v := r.verdictOf(t, flow("tcp", "S", 1)); v != leave {
				t.Errorf("a SYN to a backup was %s", v)
			}
			command(t, b, "--stop-daemon backup")
			if v := r.verdictOf(t, flow("tcp", "S", 1)); v != send {
				t.Errorf("a SYN to a director that has woken was %s", v)
			}
			command(t, b, "--start-daemon backup --mcast-interface lo")
			if v := r.verdictOf(t, flow("tcp", "A", 1)); v != leave {
				t.Errorf("a packet of a connection was %s", v)
			}
			answer := answered("tcp", "SA").pkt
			answer.Dst, answer.Dport = flow("tcp", "", 1).Src, flow("tcp", "", 1).Sport
			if v := r.verdictOf(t, answer); v != send {
				t.Errorf("an answer was %s", v)
			}
		})
	}
}
