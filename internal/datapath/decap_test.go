package datapath

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// server is the configuration of the decapsulator in these tests.
var server = DecapConfig{
	Kinds: []string{"ipip", "gue", "gre"}, Port: 6080, Mode: ModeTC,
	VIPs: []netip.Addr{vip4, vip6}, Locals: []netip.Addr{rip4, rip6},
}

// realServer makes this test's namespace one with a decapsulator.
func realServer(t *testing.T, c DecapConfig, names ...string) {
	t.Helper()
	inNamespace(t)
	if err := SetDecap(context.Background(), c, names); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := RemoveDecap(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func decapProgram(t *testing.T, m Mode) *ebpf.Program {
	t.Helper()
	name := decapProgEvsDecapTc
	if m == ModeXDP {
		name = decapProgEvsDecapXdp
	}
	here, err := here()
	if err != nil {
		t.Fatal(err)
	}
	p, err := ebpf.LoadPinnedProgram(filepath.Join(here.decap(), name), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// pass runs a program over a frame; dropped says what it did.
func pass(t *testing.T, p *ebpf.Program, frame []byte) (out []byte, dropped bool) {
	t.Helper()
	verdict, out, err := p.Test(frame)
	if err != nil {
		t.Fatal(err)
	}
	if p.Type() == ebpf.XDP {
		return out, verdict == 1 // XDP_DROP
	}
	return out, verdict == 2 // TC_ACT_SHOT
}

func counted(t *testing.T) map[string]uint64 {
	t.Helper()
	d, err := ReadDecap()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, c := range d.Counters {
		counts[c.Name] = c.Count
	}
	return counts
}

// since returns what was counted after before.
func since(t *testing.T, before map[string]uint64) map[string]uint64 {
	now := counted(t)
	for name, n := range before {
		if now[name] -= n; now[name] == 0 {
			delete(now, name)
		}
	}
	return now
}

var decapDoors = []Mode{ModeTC, ModeXDP}

func TestEveryTunnelOfEitherFamilyIsTakenOffEitherFamily(t *testing.T) {
	realServer(t, server)
	kinds := []struct {
		name, counts string
		wrap         func(outerFamily int, packet []byte) []byte
	}{
		{"ipip", "ipip", func(o int, p []byte) []byte { return outer(o, protoOf(p), 0, p) }},
		{"gre", "gre", func(o int, p []byte) []byte { return outer(o, protoGRE, 0, gre(0, p)) }},
		{"gre with checksum", "gre", func(o int, p []byte) []byte { return outer(o, protoGRE, 0, gre(0x8000, p)) }},
		{"gue", "gue", func(o int, p []byte) []byte { return outerGUE(o, false, gue(0, protoOf(p), 0, nil, p)) }},
		{"gue with checksum", "gue", func(o int, p []byte) []byte { return outerGUE(o, true, gue(0, protoOf(p), 0, nil, p)) }},
		{"gue with remote checksum", "gue", func(o int, p []byte) []byte {
			options, offloaded := remcsum(p)
			return outerGUE(o, true, gue(0, protoOf(p), 1, options, offloaded))
		}},
		{"gue with no private flag set", "gue", func(o int, p []byte) []byte {
			return outerGUE(o, true, gue(0, protoOf(p), 1, make([]byte, 4), p))
		}},
		{"gue with data behind the header", "gue", func(o int, p []byte) []byte {
			return outerGUE(o, false, gue(0, protoOf(p), 0, make([]byte, 12), p))
		}},
	}
	for _, mode := range decapDoors {
		p := decapProgram(t, mode)
		for _, kind := range kinds {
			for _, families := range [][2]int{{4, 4}, {4, 6}, {6, 4}, {6, 6}} {
				for _, size := range []int{0, 1, 18, 1001, 1380} {
					name := fmt.Sprintf("%v, %s, IPv%d in IPv%d, %d bytes", mode, kind.name, families[0], families[1], size)
					packet := request(families[0], 0, size)
					before := counted(t)
					out, dropped := pass(t, p, ethernet(kind.wrap(families[1], packet)))
					if dropped || !bytes.Equal(out, ethernet(packet)) {
						t.Errorf("%s: dropped %v\n got %x\nwant %x", name, dropped, out, ethernet(packet))
					}
					if got := since(t, before); !maps.Equal(got, map[string]uint64{kind.counts: 1}) {
						t.Errorf("%s: counted %v", name, got)
					}
				}
			}
		}
	}
}

// change returns a copy of a packet with one thing other than it should be.
func change(packet []byte, do func([]byte) []byte) []byte {
	return do(append([]byte{}, packet...))
}

func TestWhatIsNotTakenOutIsLeftOrDroppedUnderTheNameOfTheReason(t *testing.T) {
	realServer(t, server)
	inner := request(4, 0, 100)
	ipip := outer(4, protoIPIP, 0, inner)
	other := ip(client4, netip.MustParseAddr("203.0.113.11"), protoUDP, 0, nil)
	options, offloaded := remcsum(inner)
	gueFrame := func(first, proto byte, flags uint16, options []byte) []byte {
		return outerGUE(4, true, gue(first, proto, flags, options, inner))
	}
	for _, c := range []struct {
		name    string
		packet  []byte
		dropped bool
		counts  string // by tc; XDP leaves the counting of what it passes to tc
	}{
		{"a plain packet to the VIP", inner, false, ""},
		{"a plain packet to the server", ip(client4, rip4, protoUDP, 0, udp(client4, rip4, 1, 6081, true, nil)), false, ""},
		{"a tunnel to another host", ip(dip4, netip.MustParseAddr("192.0.2.3"), protoIPIP, 0, inner), false, ""},
		{"a tunnel to the VIP", ip(dip4, vip4, protoIPIP, 0, inner), false, ""},
		{"a packet that is for no VIP", outer(4, protoIPIP, 0, other), false, "foreign"},
		{"a packet for the server itself", outer(4, protoIPIP, 0, ip(client4, rip4, protoUDP, 0, nil)), false, "foreign"},
		{"GRE of version 1", outer(4, protoGRE, 0, gre(1, inner)), false, "foreign"},
		{"GRE with a route in it", outer(4, protoGRE, 0, gre(0x4000, inner)), false, "foreign"},
		{"GRE of Ethernet", outer(4, protoGRE, 0, append(be16(0, 0x6558), inner...)), false, "foreign"},
		{"GRE with a key for no VIP", outer(4, protoGRE, 0, gre(0x2000, other)), false, "foreign"},
		{"the first fragment", fixed4(change(ipip, func(p []byte) []byte { p[6] = 0x20; return p })), false, "fragment"},
		{"a later fragment", fixed4(change(ipip, func(p []byte) []byte { p[6], p[7] = 0, 10; return p })), false, "fragment"},
		{"the first fragment of GUE", fixed4(change(gueFrame(0, 4, 0, nil), func(p []byte) []byte { p[6] = 0x20; return p })), false, "fragment"},
		{"a later fragment of UDP, of whatever port", fixed4(change(gueFrame(0, 4, 0, nil), func(p []byte) []byte { p[6], p[7] = 0, 10; return p })), false, ""},
		{"a fragment of IPv6", outer(6, protoFragment, 0, append([]byte{protoIPIP, 0, 0, 1, 0, 0, 0, 1}, inner...)), false, "fragment"},
		{"a wrong checksum of the outer header", change(ipip, func(p []byte) []byte { p[10] ^= 1; return p }), true, "checksum"},
		{"an outer packet longer than the frame", ipip[:len(ipip)-1], true, "malformed"},
		{"an outer packet without anything inside", outer(4, protoIPIP, 0, nil), true, "malformed"},
		{"half a header inside", outer(4, protoIPIP, 0, inner[:19]), true, "malformed"},
		{"a packet inside longer than the outer one", outer(4, protoIPIP, 0, inner[:60]), true, "malformed"},
		{"IPv6 inside that is said to be IPv4", outer(4, protoIPIP, 0, request(6, 0, 10)), true, "malformed"},
		{"IPv4 inside that is said to be IPv6", outer(4, protoIPv6, 0, request(4, 0, 100)), true, "malformed"},
		{"a header inside shorter than it can be", outer(4, protoIPIP, 0, change(inner, func(p []byte) []byte { p[0] = 0x44; return p })), true, "malformed"},
		{"a length inside that does not hold the header", outer(4, protoIPIP, 0, change(inner, func(p []byte) []byte { p[2], p[3] = 0, 19; return p })), true, "malformed"},
		{"GRE of three bytes", outer(4, protoGRE, 0, []byte{0, 0, 8}), true, "malformed"},
		{"GUE without its header", outerGUE(4, false, []byte{0, 4}), true, "malformed"},
		{"a UDP length beyond the packet", change(gueFrame(0, 4, 0, nil), func(p []byte) []byte { p[24] = 9; return p }), true, "malformed"},
		{"a UDP length that holds no GUE", change(gueFrame(0, 4, 0, nil), func(p []byte) []byte { p[24], p[25] = 0, 11; return p }), true, "malformed"},
		{"GRE with a key", outer(4, protoGRE, 0, gre(0x2000, inner)), true, "gre_key"},
		{"GRE with a sequence number", outer(4, protoGRE, 0, gre(0x9000, inner)), true, "gre_key"},
		{"GUE of variant 1", gueFrame(0x40, 4, 0, nil), true, "gue_version"},
		{"a control message of GUE", gueFrame(0x20, 4, 0, nil), true, "gue_control"},
		{"GUE of something else", gueFrame(0, 6, 0, nil), true, "gue_protocol"},
		{"GUE with a flag of a group", gueFrame(0, 4, 0x8000, make([]byte, 4)), true, "gue_flags"},
		{"GUE with another private flag", gueFrame(0, 4, 1, []byte{0x40, 0, 0, 0}), true, "gue_flags"},
		{"GUE with private flags and no room for them", gueFrame(0, 4, 1, nil), true, "gue_flags"},
		{"a remote checksum without its option", gueFrame(0, 4, 1, options[:4]), true, "gue_flags"},
		{"a remote checksum without one outside", outerGUE(4, false, gue(0, 4, 1, options, offloaded)), true, "gue_remcsum"},
		{"a remote checksum before its part", outerGUE(4, true, gue(0, 4, 1, []byte{0x80, 0, 0, 0, 0, 28, 0, 26}, offloaded)), true, "gue_remcsum"},
		{"a remote checksum at an odd place", outerGUE(4, true, gue(0, 4, 1, []byte{0x80, 0, 0, 0, 0, 20, 0, 27}, offloaded)), true, "gue_remcsum"},
		{"a remote checksum of a part beyond the end", outerGUE(4, true, gue(0, 4, 1, []byte{0x80, 0, 0, 0, 0xff, 0xf0, 0xff, 0xf6}, offloaded)), true, "gue_remcsum"},
		{"congestion that cannot be told inside", outer(4, protoIPIP, 3, inner), true, "congestion"},
	} {
		for _, mode := range decapDoors {
			before := counted(t)
			frame := ethernet(c.packet)
			out, dropped := pass(t, decapProgram(t, mode), frame)
			if dropped != c.dropped || !bytes.Equal(out, frame) {
				t.Errorf("%v: %s: dropped %v, want %v; changed: %v", mode, c.name, dropped, c.dropped, !bytes.Equal(out, frame))
			}
			want := map[string]uint64{}
			if c.counts != "" && (c.dropped || mode == ModeTC) {
				want[c.counts] = 1
			}
			if got := since(t, before); !maps.Equal(got, want) {
				t.Errorf("%v: %s: counted %v, want %v", mode, c.name, got, want)
			}
		}
	}
}

func TestADamagedRemoteChecksumStaysWrong(t *testing.T) {
	realServer(t, server)
	packet := request(4, 0, 200)
	options, offloaded := remcsum(packet)
	frame := ethernet(outerGUE(4, true, gue(0, protoIPIP, 1, options, offloaded)))
	frame[len(frame)-5] ^= 0x10
	for _, mode := range decapDoors {
		out, _ := pass(t, decapProgram(t, mode), frame)
		inner := out[14:]
		if sum(be16(pseudo(client4, vip4, protoUDP, len(inner)-20)), inner[20:]) == 0xffff {
			t.Errorf("%v: a damaged packet got a right checksum", mode)
		}
	}
}

func TestCongestionOutsideIsToldInside(t *testing.T) {
	realServer(t, server)
	for _, mode := range decapDoors {
		p := decapProgram(t, mode)
		for _, families := range [][2]int{{4, 4}, {4, 6}, {6, 4}, {6, 6}} {
			for _, c := range []struct{ outside, inside, want byte }{
				{3, 1, 3}, {3, 2, 3}, {3, 3, 3}, {0, 2, 2}, {2, 2, 2}, {0, 0, 0}, {2, 0, 0}, {0xb8 | 3, 0x28 | 2, 0x28 | 3},
			} {
				packet := request(families[0], c.inside, 50)
				out, dropped := pass(t, p, ethernet(outer(families[1], protoOf(packet), c.outside, packet)))
				if want := ethernet(request(families[0], c.want, 50)); dropped || !bytes.Equal(out, want) {
					t.Errorf("%v, IPv%d in IPv%d, %#x outside and %#x inside: dropped %v\n got %x\nwant %x",
						mode, families[0], families[1], c.outside, c.inside, dropped, out, want)
				}
			}
		}
	}
}

func TestOuterOptionsAreReadOver(t *testing.T) {
	realServer(t, server)
	packet := request(6, 0, 30)
	// The limit of nesting that Linux adds to what it sends through an IPv6 tunnel.
	limit := append([]byte{protoIPv6, 0, 4, 1, 4, 1, 1, 0}, packet...)
	options := outer(4, protoIPv6, 0, packet)
	options = append(append(append([]byte{}, options[:20]...), 1, 1, 1, 0), options[20:]...)
	options[0], options[3] = 0x46, options[3]+4
	for _, mode := range decapDoors {
		for name, wrapped := range map[string][]byte{"of IPv6": outer(6, protoOptions, 0, limit), "of IPv4": fixed4(options)} {
			out, dropped := pass(t, decapProgram(t, mode), ethernet(wrapped))
			if dropped || !bytes.Equal(out, ethernet(packet)) {
				t.Errorf("%v, %s: dropped %v\n got %x\nwant %x", mode, name, dropped, out, ethernet(packet))
			}
		}
	}
}

func TestOnlyTheKindsAskedForAreTakenOff(t *testing.T) {
	c := server
	c.Kinds = []string{"gre"}
	realServer(t, c)
	packet := request(4, 0, 30)
	for _, mode := range decapDoors {
		for _, wrapped := range [][]byte{outer(4, protoIPIP, 0, packet), outerGUE(4, false, gue(0, protoIPIP, 0, nil, packet))} {
			if out, dropped := pass(t, decapProgram(t, mode), ethernet(wrapped)); dropped || !bytes.Equal(out, ethernet(wrapped)) {
				t.Errorf("%v: %x became %x", mode, wrapped, out)
			}
		}
	}
}

func TestEveryDecapReasonIsExplainedInTheOrderOfTheEnum(t *testing.T) {
	spec, err := loadDecap()
	if err != nil {
		t.Fatal(err)
	}
	var e *btf.Enum
	if err := spec.Types.TypeByName("decap_reason", &e); err != nil {
		t.Fatal(err)
	}
	for i, v := range e.Values[:len(e.Values)-1] {
		name := strings.ToLower(strings.TrimPrefix(v.Name, "DECAP_REASON_"))
		if i >= len(DecapReasons) || DecapReasons[i].Name != name || DecapReasons[i].About == "" {
			t.Errorf("reason %d is %s: not explained under that name", i, name)
		}
	}
	if len(DecapReasons) != len(e.Values)-1 {
		t.Errorf("%d reasons explained of %d", len(DecapReasons), len(e.Values)-1)
	}
}

func TestTheDecapsulatorIsWhatItWasLastAskedToBe(t *testing.T) {
	realServer(t, server, "v0")
	d, err := ReadDecap()
	if err != nil {
		t.Fatal(err)
	}
	if got := attachedNames(d.Attachments); !slices.Equal(got, []string{"v0"}) {
		t.Errorf("attached to %v, want v0", got)
	}
	c := DecapConfig{Kinds: []string{"gue"}, Port: 6666, VIPs: []netip.Addr{vip4}, Locals: []netip.Addr{rip4}, Mode: ModeXDP}
	if err := SetDecap(context.Background(), c, []string{"v1"}); err != nil {
		t.Fatal(err)
	}
	if d, err = ReadDecap(); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(d.DecapConfig) != fmt.Sprint(c) {
		t.Errorf("it is %v, want %v", d.DecapConfig, c)
	}
	for _, a := range d.Attachments {
		if want := map[string]string{"v0": "", "v1": "tc+xdp"}[a.Interface]; strings.Join(a.Doors, "+") != want {
			t.Errorf("%s has %v, want %s", a.Interface, a.Doors, want)
		}
	}
	if err := SetDecap(context.Background(), server, []string{"v0", "v7"}); err == nil || !strings.Contains(err.Error(), `"v7"`) {
		t.Errorf("an interface that is not there: %v", err)
	}
	if d, _ := ReadDecap(); fmt.Sprint(d.DecapConfig) != fmt.Sprint(c) {
		t.Errorf("after a change that failed it is %v, want %v", d.DecapConfig, c)
	}
}

func TestTheTableAndTheDecapsulatorComeAndGoWithoutEachOther(t *testing.T) {
	realServer(t, server)
	ctx := context.Background()
	var e Editor
	for range 2 { // whoever comes looks for remains of the dead, and must find none
		if err := e.Edit(ctx, none); err != nil {
			t.Fatal(err)
		}
		if had, err := Unload(ctx); !had || err != nil {
			t.Fatal(had, err)
		}
		if err := e.EditExisting(ctx, none); !errors.Is(err, ErrNoTable) {
			t.Fatal(err)
		}
		if _, err := ReadDecap(); err != nil {
			t.Fatalf("it went with the table: %v", err)
		}
	}
	if err := e.Edit(ctx, none); err != nil {
		t.Fatal(err)
	}
	if had, err := RemoveDecap(ctx); !had || err != nil {
		t.Fatal(had, err)
	}
	if err := e.EditExisting(ctx, none); err != nil {
		t.Errorf("the table went with it: %v", err)
	}
	if _, err := ReadDecap(); !errors.Is(err, ErrNoDecap) {
		t.Errorf("it is still there: %v", err)
	}
}
