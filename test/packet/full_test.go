package packet

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/evs-project/evs/test/bed"
)

func TestAFullTableRefusesNewConnectionsAndKeepsTheOld(t *testing.T) {
	d := doors[0]
	c := newCrowd(t, d)
	r := newRunner(t, d, c.bed)
	status, err := c.bed.Table().Status()
	if err != nil {
		t.Fatal(err)
	}
	var kept, refused []int
	for n := range status.Capacity + status.Capacity/4 {
		switch v := r.verdictOf(t, flow("tcp", "S", n)); v {
		case send:
			if err := r.pass(flow("tcp", "A", n)); err != nil {
				t.Fatalf("connection %d was not established: %v", n, err)
			}
			kept = append(kept, n)
		case drop:
			refused = append(refused, n)
		default:
			t.Fatalf("connection %d was %s", n, v)
		}
	}
	if len(kept) < status.Capacity*4/5 || len(kept) > status.Capacity {
		t.Errorf("%d connections fit into a table for %d", len(kept), status.Capacity)
	}
	if full := counters(t, c.bed)["table_full"]; full != uint64(len(refused)) {
		t.Errorf("%d connections were refused, %d counted", len(refused), full)
	}
	settle(t, c.bed.Table(), len(kept))

	command(t, c.bed, "--set 20 0 0")
	for _, n := range kept {
		if err := r.pass(flow("tcp", "A", n)); err != nil {
			t.Fatalf("an established connection broke: %v", err)
		}
	}
	for _, n := range refused[:100] {
		if v := r.verdictOf(t, flow("tcp", "S", n)); v != drop {
			t.Fatalf("connection %d was %s although nothing ended", n, v)
		}
	}
	settle(t, c.bed.Table(), len(kept))

	// All end, and their room is free again, in the overflow region too.
	command(t, c.bed, "--set 1 0 0")
	for _, n := range kept {
		if err := r.pass(flow("tcp", "A", n)); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, c.bed.Table(), 0)
	for n := range 1000 {
		if err := r.pass(flow("tcp", "S", n)); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, c.bed.Table(), 1000)
}

func (r *runner) verdictOf(t *testing.T, p bed.Packet) verdict {
	t.Helper()
	v, _, err := r.run(frameOf(t, p, nil), p.FromServer())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// crowdedVIPs is how many services one client's port visits: many more than
// its two buckets hold.
const crowdedVIPs = 48

// visit is a packet of one client's port to the nth VIP, answer the server's.
func visit(flags string, n int) bed.Packet {
	return bed.Packet{
		Proto: "tcp", Src: netip.MustParseAddr("192.0.2.99"), Sport: 7777, Flags: flags,
		Dst: netip.AddrFrom4([4]byte{198, 51, 100, byte(150 + n)}), Dport: 80,
	}
}

func answer(flags string, n int) bed.Packet {
	return bed.Packet{
		From: "server", Proto: "tcp", Src: server, Sport: uint16(9000 + n),
		Dst: netip.MustParseAddr("192.0.2.99"), Dport: 7777, Flags: flags,
	}
}

func TestOneClientPortMayVisitManyServicesAtOnce(t *testing.T) {
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			c := &crowd{T: t, bed: beds.Lend(t, d.mode), door: d}
			for n := range crowdedVIPs {
				command(t, c.bed, fmt.Sprintf("-A -t %s:80 -s rr", visit("", n).Dst))
				command(t, c.bed, fmt.Sprintf("-a -t %s:80 -r %s:%d -m", visit("", n).Dst, server, 9000+n))
			}
			for range 2 { // the second time in slots that were used before
				command(t, c.bed, "--set 20 0 0")
				c.each(func(thread int, r *runner) error { return r.visits("S", thread) })
				settle(t, c.bed.Table(), crowdedVIPs)
				r := newRunner(t, d, c.bed)
				for n := range crowdedVIPs {
					_, out, err := r.run(frameOf(t, answer("SA", n), nil), true)
					if err != nil {
						t.Fatal(err)
					}
					if seen, err := bed.Parse(out); err != nil || seen.Src.Addr() != visit("", n).Dst || seen.Src.Port() != 80 {
						t.Fatalf("the answer of service %d came out as %s (%v)", n, seen, err)
					}
				}
				command(t, c.bed, "--set 1 0 0")
				c.each(func(thread int, r *runner) error { return r.visits("A", thread) })
				settle(t, c.bed.Table(), 0)
			}
		})
	}
}

// visits runs the packets to a thread's part of the services.
func (r *runner) visits(flags string, thread int) error {
	for n := thread; n < crowdedVIPs; n += threads {
		if err := r.pass(visit(flags, n)); err != nil {
			return err
		}
	}
	return nil
}
