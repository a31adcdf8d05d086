package packet

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
)

// marked is the door for packets that an earlier tc program gave a mark.
func marked(mark uint32) door {
	d := doors[0]
	d.context = func(ifindex, length int) []byte {
		b := skBuff(ifindex, length)
		binary.NativeEndian.PutUint32(b[8:], mark)
		return b
	}
	return d
}

// markServices are one service by address and one by each of the marks 7 and 8,
// of both families; the server's last number tells which.
const markServices = `-A -t 198.51.100.129:80 -s rr
-a -t 198.51.100.129:80 -r 203.0.113.1:80 -g
-A -f 7 -s rr
-a -f 7 -r 203.0.113.7 -g
-A -f 8 -s rr
-a -f 8 -r 203.0.113.8 -m
-A -f 7 -6 -s rr
-a -f 7 -6 -r 2001:db8:3::7 -g`

// chosen is the server of a new connection, "" if the packet was left alone.
func chosen(t *testing.T, r *runner, p bed.Packet) string {
	t.Helper()
	v, _, err := r.run(frameOf(t, p, nil), false)
	if err != nil {
		t.Fatal(err)
	}
	for c, err := range r.bed.Table().Conns() {
		if err != nil {
			t.Fatal(err)
		}
		if c.Client == netip.AddrPortFrom(p.Src, p.Sport) {
			return c.Destination.Addr().String()
		}
	}
	if v != leave {
		t.Errorf("%s without a connection", v)
	}
	return ""
}

func TestTheMarkOfAPacketFindsItsService(t *testing.T) {
	const web, seven, eight, seven6 = "203.0.113.1", "203.0.113.7", "203.0.113.8", "2001:db8:3::7"
	client4, client6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8:1::10")
	cases := []struct {
		name   string
		rules  string // prefix=mark
		mark   uint32 // of an earlier program
		to     string
		server string
	}{
		{"no mark, and an address that has a service", "", 0, "198.51.100.129:80", web},
		{"no mark, and none that has", "", 0, "198.51.100.129:81", ""},
		{"a rule, and an address that has a service", "198.51.100.128/25=7", 0, "198.51.100.129:80", seven},
		{"a rule, and none that has", "198.51.100.128/25=8", 0, "198.51.100.130:81", eight},
		{"a rule for another prefix", "198.51.100.0/25=7", 0, "198.51.100.129:80", web},
		{"a rule with a mark that no service has", "198.51.100.128/25=9", 0, "198.51.100.129:80", web},
		{"IPv6", "2001:db8:2::/64=7", 0, "[2001:db8:2::81]:443", seven6},
		{"IPv6, and a mark that only IPv4 has a service for", "2001:db8:2::/64=8", 0, "[2001:db8:2::81]:443", ""},
		{"the mark of an earlier program", "", 7, "198.51.100.140:25", seven},
		{"the mark of an earlier program, and a rule that does not match", "198.51.100.129/32=8", 7, "198.51.100.140:25", seven},
		{"a rule before the mark of an earlier program", "198.51.100.140/32=8", 7, "198.51.100.140:25", eight},
	}
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			b := beds.Lend(t, d.mode)
			commands(t, b, markServices)
			for i, c := range cases {
				if c.mark != 0 && d.mode != ipvs.AttachTC {
					continue
				}
				door := d
				if c.mark != 0 {
					door = marked(c.mark)
				}
				if err := b.Table().SetMarks(ruleOf(c.rules)); err != nil {
					t.Fatal(err)
				}
				to := netip.MustParseAddrPort(c.to)
				p := bed.Packet{Proto: "udp", Src: client4, Sport: uint16(1000 + i), Dst: to.Addr(), Dport: to.Port()}
				if to.Port() == 80 {
					p.Proto, p.Flags = "tcp", "S"
				}
				if to.Addr().Is6() {
					p.Src = client6
				}
				if got := chosen(t, newRunner(t, door, b), p); got != c.server {
					t.Errorf("%s: server %q, want %q", c.name, got, c.server)
				}
			}
		})
	}
}

// ruleOf makes a rule of "prefix=mark", none of "".
func ruleOf(text string) []ipvs.MarkRule {
	if text == "" {
		return nil
	}
	prefix, mark, _ := strings.Cut(text, "=")
	return []ipvs.MarkRule{{Destination: netip.MustParsePrefix(prefix), Mark: uint32(mark[0] - '0')}}
}

// One of two rules matches at any time, so a packet without a mark met neither
// the old nor the new.
func TestEditsOfMarksAreAtomicToPackets(t *testing.T) {
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			b := beds.Lend(t, d.mode)
			commands(t, b, markServices)
			sets := [][]ipvs.MarkRule{ruleOf("198.51.100.129/32=7"), ruleOf("198.51.100.128/25=8")}
			if err := b.Table().SetMarks(sets[0]); err != nil {
				t.Fatal(err)
			}
			c := &crowd{T: t, bed: b, door: d}
			var stop atomic.Bool
			done := make(chan error)
			go func() {
				done <- c.run(func(thread int, r *runner) error {
					for n := thread; n < threads*1000 && !stop.Load(); n += threads {
						p := flow("udp", "", n)
						p.Dport = 81 // which only a mark has a service for
						if err := r.pass(p); err != nil {
							return err
						}
						time.Sleep(100 * time.Microsecond) // so that edits come between
					}
					return nil
				})
			}()
			rounds := 0
			for end := time.Now().Add(time.Second); time.Now().Before(end); rounds++ {
				if err := b.Table().SetMarks(sets[(rounds+1)%2]); err != nil {
					t.Fatal(err)
				}
			}
			stop.Store(true)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			served := map[string]uint64{}
			services, err := b.Table().Services()
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range services {
				served[s.String()] = s.Stats.Connections
			}
			if rounds < 50 || served["FWM 7"] < 50 || served["FWM 8"] < 50 {
				t.Errorf("%d edits, connections %v: the test says little", rounds, served)
			}
		})
	}
}
