package packet

import (
	"testing"
	"time"
)

// Of so many tries to open a connection during a flood, so many have to succeed.
const (
	tries  = 1000
	wanted = 990
)

// crammed is how many of them do in a table that holds hardly more than those who are
// there: a newcomer that finds no slot takes that of another, who is not the oldest.
const crammed = 950

// hurried is how many do in a flood that is over within some slices of a processor, of
// more threads than there are processors: whose thread waits for its own, misses the rest.
const hurried = 950

// regulars is how many connections are established before a flood.
const regulars = 10_000

// Unless EVS_FLOOD says how many, so many spoofed SYNs make a flood.
const floodSize = 100_000

func TestAFloodLosesNoConnectionAndKeepsNobodyOut(t *testing.T) {
	flood := number(t, "EVS_FLOOD", floodSize)
	for _, tt := range []struct {
		name          string
		door          int
		target        target
		conns         int
		threads, trip int
		wanted        int
	}{
		{"in a table with hardly any room, IPv4 by tc", 0, target4, 1, 1, 2000, crammed},
		{"in a table for twice as many, IPv6 by xdp", 1, target6, 2 * regulars, 1, 4000, wanted},
		{"on all CPUs, IPv4 by xdp", 1, target4, 10 * regulars, 4, 4000, wanted},
		{"on all CPUs, IPv6 by tc", 0, target6, 10 * regulars, 4, 4000, wanted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, r := flooded(t, doors[tt.door], tt.target, tt.conns, "")
			for n := range regulars {
				if ok, err := r.connect(tt.target, n); !ok || err != nil {
					t.Fatalf("connection %d was not established: %v", n, err)
				}
			}
			s := &siege{target: tt.target, flood: flood, threads: tt.threads, tries: tries, first: regulars, trip: tt.trip}
			guns := make([]spoofs, threads)
			for i := range guns {
				guns[i] = tt.target.spoofs(t)
			}
			start := time.Now()
			c.each(func(thread int, r *runner) error { return s.lay(thread, r, guns[thread]) })
			open, places, evicted := half(t, c.bed, tt.target)
			opened := int(s.opened.Load())
			t.Logf("%d spoofed SYNs in %v, of which %d were evicted and %d stay, with %d places; %d of %d clients succeeded",
				flood, time.Since(start).Round(time.Millisecond), evicted, open, places, opened, tries)
			least := tt.wanted
			if flood == floodSize && tt.threads > 1 {
				least = hurried
			}
			if opened < least {
				t.Errorf("%d of %d clients opened a connection during the flood, want %d", opened, tries, least)
			}
			if open > places+places/8 || evicted+uint64(open) < uint64(flood) {
				t.Errorf("%d are half-open, with %d places, and %d were evicted", open, places, evicted)
			}
			if full := counters(t, c.bed)["table_full"]; full > 0 {
				t.Errorf("%d newcomers found the table full", full)
			}
			settle(t, c.bed.Table(), -1)
			for n := range regulars {
				if ok, err := r.sends(tt.target.to("A", n)); !ok || err != nil {
					t.Fatalf("established connection %d was lost: %v", n, err)
				}
			}
			if n := established(t, c.bed); n != regulars+opened {
				t.Errorf("%d connections are established, want %d and %d", n, regulars, opened)
			}
		})
	}
}

func TestWhenThePartOfTheHalfOpenIsFullTheOldestGoes(t *testing.T) {
	for i, x := range []target{target4, target6} {
		t.Run(sources(x, doors[i].mode), func(t *testing.T) {
			t.Parallel()
			c, r := flooded(t, doors[i], x, 1, "")
			guns := x.spoofs(t)
			_, places, _ := half(t, c.bed, x)
			const rounds = 3
			r.fire(t, guns, 0, rounds*places)
			open, _, evicted := half(t, c.bed, x)
			if open != places || evicted != uint64((rounds-1)*places) {
				t.Errorf("%d are half-open and %d were evicted, want %d and %d", open, evicted, places, (rounds-1)*places)
			}
			for conn, err := range c.bed.Table().Conns() {
				if err != nil {
					t.Fatal(err)
				}
				if n := guns.number(conn.Client); n < (rounds-1)*places {
					t.Errorf("the SYN from %s is still there, the %dth of %d", conn.Client, n, rounds*places)
				}
			}
			settle(t, c.bed.Table(), places)
			if err := c.bed.Advance(2 * time.Minute); err != nil {
				t.Fatal(err)
			}
			settle(t, c.bed.Table(), 0)
		})
	}
}

// While few are half-open, one that is slow stays however many others come and go; and
// who goes then, goes with its time.
func TestAHalfOpenConnectionStaysWhileThereIsRoom(t *testing.T) {
	t.Parallel()
	c, r := flooded(t, doors[0], target4, 1, "")
	_, places, _ := half(t, c.bed, target4)
	slow := places/4 + 1 // more than are never looked at, between places that are free
	guns := target4.spoofs(t)
	for n := range slow {
		r.fire(t, guns, n, n+1)
		if ok, err := r.connect(target4, n); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	command(t, c.bed, "--set 1 0 0")
	for n := slow; n < slow+3*places; n++ {
		if ok, err := r.connect(target4, n); !ok || err != nil {
			t.Fatalf("connection %d was not established: %v", n, err)
		}
		if n%1000 == 0 { // those established end after a second
			if err := c.bed.Advance(2 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
	}
	if open, _, evicted := half(t, c.bed, target4); open != slow || evicted > 0 {
		t.Errorf("%d of %d are still half-open, %d were evicted", open, slow, evicted)
	}
}

// However many spoofed SYNs come between, clients fill the table as if there were none.
func TestATableIsFullOnlyOfConnectionsThatWereAnswered(t *testing.T) {
	for i, x := range []target{target4, target6} {
		t.Run(sources(x, doors[i].mode), func(t *testing.T) {
			t.Parallel()
			c, r := flooded(t, doors[i], x, 1, "")
			status, err := c.bed.Table().Status()
			if err != nil {
				t.Fatal(err)
			}
			guns := x.spoofs(t)
			var kept []int
			for n := range status.Capacity * 5 / 4 {
				r.fire(t, guns, 2*n, 2*n+2)
				ok, err := r.connect(x, n)
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					kept = append(kept, n)
				}
			}
			if len(kept) < status.Capacity*95/100 { // without room made it would be 84 in a hundred
				t.Errorf("%d clients found room in a table for %d", len(kept), status.Capacity)
			}
			for _, n := range kept {
				if ok, err := r.sends(x.to("A", n)); !ok || err != nil {
					t.Fatalf("established connection %d was lost: %v", n, err)
				}
			}
			settle(t, c.bed.Table(), -1)
			if n := established(t, c.bed); n != len(kept) {
				t.Errorf("%d connections are established, want %d", n, len(kept))
			}
		})
	}
}

// A spoofed SYN to a persistent service makes a template too. It goes with its
// connection, or if that has run out gives way to whoever finds no slot; a template of
// a client that was answered stays.
func TestAFloodOfAPersistentServiceFillsTheTableWithNoTemplates(t *testing.T) {
	t.Parallel()
	x := target6
	c, r := flooded(t, doors[0], x, 1, "")
	command(t, c.bed, "-E -t [2001:db8:2::81]:80 -s rr -p 86400")
	const clients = 100
	for n := range clients {
		if ok, err := r.connect(x, n); !ok || err != nil {
			t.Fatalf("connection %d was not established: %v", n, err)
		}
	}
	guns := x.spoofs(t)
	_, places, _ := half(t, c.bed, x)
	r.fire(t, guns, 0, 4*places)
	if err := c.bed.Advance(0); err != nil { // what was dropped is swept
		t.Fatal(err)
	}
	open, _, _ := half(t, c.bed, x)
	if n := entries(t, c.bed, true); open != places || n != open+clients {
		t.Errorf("%d templates, of %d half-open connections and %d clients", n, open, clients)
	}
	for round := range 6 { // now slower, so that the part is never full
		if err := c.bed.Advance(61 * time.Second); err != nil {
			t.Fatal(err)
		}
		r.fire(t, guns, (4+round)*places, (5+round)*places-1)
	}
	if full := counters(t, c.bed)["table_full"]; full > 0 {
		t.Errorf("%d newcomers found the table full", full)
	}
	for n := range clients {
		if ok, err := r.sends(x.to("A", n)); !ok || err != nil {
			t.Fatalf("established connection %d was lost: %v", n, err)
		}
	}
	emptied(t, c.bed, 25*time.Hour)
}
