package packet

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/test/bed"
)

// plainPackets are those that take the straight line of bpf/plain.h at every door, and
// one that must not, which proves that the road is noticed.
var plainPackets = []struct {
	name  string
	x     target
	route bool // by direct routing
	flags string
	reply bool
	road  bool
}{
	{"masqueraded, to the server, IPv4", target4, false, "A", false, false},
	{"masqueraded, to the client, IPv4", target4, false, "A", true, false},
	{"masqueraded, with data, IPv4", target4, false, "PA", false, false},
	{"by direct routing, IPv4", target4, true, "A", false, false},
	{"masqueraded, to the server, IPv6", target6, false, "A", false, false},
	{"masqueraded, to the client, IPv6", target6, false, "A", true, false},
	{"by direct routing, IPv6", target6, true, "A", false, false},
	{"one that ends its connection", target4, false, "FA", false, true},
}

// What takes the road leaves the packet in the memory that its CPU works with; what
// takes the straight line leaves nothing there. So no clock is asked.
func TestAPlainPacketTakesTheStraightLine(t *testing.T) {
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			b := bed.New(t, d.mode)
			r := newRunner(t, d, b)
			works := mapOf(t, r.program, "works")
			for _, tt := range plainPackets {
				service := tt.x.setup
				if tt.route {
					service = strings.ReplaceAll(strings.Replace(service, " -m", " -g", 1), ":8080", ":80")
				}
				commands(t, b, "-C\n"+service)
				open := []bed.Packet{tt.x.to("S", 1), tt.x.to("A", 1), tt.x.to("A", 1)}
				if !tt.route {
					open = []bed.Packet{tt.x.to("S", 1), tt.x.from("SA", 1), tt.x.to("A", 1), tt.x.from("A", 1)}
				}
				p := tt.x.to(tt.flags, 1)
				if tt.reply {
					p = tt.x.from(tt.flags, 1)
				}
				if used := r.passes(t, works, open, p); used != tt.road {
					t.Errorf("%s: the packet took the road: %t, want %t", tt.name, used, tt.road)
				}
				if err := b.Advance(time.Hour); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A frame that leaves by another interface finds it without the map of all of them.
func TestThePlaceOfAnInterfaceTellsThatFramesMayGoThere(t *testing.T) {
	d := doors[1]
	b := bed.New(t, d.mode)
	commands(t, b, target4.setup)
	r := newRunner(t, d, b)
	if ok, err := r.connect(target4, 1); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := mapOf(t, r.program, "xdp_ports").Delete(uint32(b.D1)); err != nil {
		t.Fatal(err)
	}
	if err := r.pass(target4.to("A", 1)); err != nil {
		t.Error(err)
	}
	if err := mapOf(t, r.program, "xdp_places").Put(uint32(b.D1%1024), uint64(0)); err != nil {
		t.Fatal(err)
	}
	if ok, err := r.sends(target4.to("A", 1)); ok || err != nil {
		t.Errorf("a frame goes by XDP to an interface that is in neither map: %t, %v", ok, err)
	}
}

// passes runs packets that open a connection, and reports whether the next writes to works.
func (r *runner) passes(t *testing.T, works *ebpf.Map, open []bed.Packet, next bed.Packet) bool {
	t.Helper()
	for _, p := range open {
		if err := r.pass(p); err != nil {
			t.Fatal(err)
		}
	}
	erase(t, works)
	if err := r.pass(next); err != nil {
		t.Fatal(err)
	}
	return !blank(t, works)
}

// mapOf finds a map of a program by its name.
func mapOf(t *testing.T, p *ebpf.Program, name string) *ebpf.Map {
	t.Helper()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			t.Fatal(err)
		}
		info, err := m.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Name == name {
			t.Cleanup(func() { m.Close() })
			return m
		}
		m.Close()
	}
	t.Fatalf("the program has no map %s", name)
	return nil
}

// erase zeroes what every CPU has in a map of one value.
func erase(t *testing.T, m *ebpf.Map) {
	t.Helper()
	values := perCPU(t, m)
	for _, v := range values {
		clear(v)
	}
	if err := m.Put(uint32(0), values); err != nil {
		t.Fatal(err)
	}
}

// blank reports whether it is so on every CPU.
func blank(t *testing.T, m *ebpf.Map) bool {
	t.Helper()
	for _, v := range perCPU(t, m) {
		if len(bytes.Trim(v, "\x00")) > 0 {
			return false
		}
	}
	return true
}

func perCPU(t *testing.T, m *ebpf.Map) (values [][]byte) {
	t.Helper()
	if err := m.Lookup(uint32(0), &values); err != nil {
		t.Fatal(fmt.Errorf("map %v: %w", m, err))
	}
	return values
}
