package datapath

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Counts are the five figures of Stats in their order: connections, packets
// in and out, bytes in and out.
type Counts [5]uint64

// Live is one service as an edit left it.
type Live struct {
	Slot    int
	ID      ServiceID
	Born    uint64
	Version Version
	Entries []Entry
	Gone    Counts // counted by destinations that were removed
	State   uint64 // of the scheduler
}

// Services returns the live services in no order. Each is whole: it is read
// again if an edit came between.
func (t *Table) Services() []Live {
	var all []Live
	for i := range t.services.elems {
		if l, ok := t.serviceAt(i); ok {
			all = append(all, l)
		}
	}
	return all
}

// Find returns the service with an identity.
func (t *Table) Find(id ServiceID) (Live, bool) {
	var slot uint32
	if err := t.index.Lookup(id, &slot); err != nil {
		return Live{}, false
	}
	return t.serviceAt(int(slot))
}

func (t *Table) serviceAt(i int) (Live, bool) {
	s := &t.services.elems[i]
	for atomic.LoadUint32(&s.State) == svcLive {
		word := atomic.LoadUint64(&s.Version)
		first, count := unpackVersion(word)
		l := Live{
			Slot: i, ID: s.Key, Born: s.Born, Gone: s.Gone,
			Version: *as[Version](&t.units.elems[first]),
			Entries: t.entriesAt(first, count),
			State:   atomic.LoadUint64(&s.SchedState),
		}
		if atomic.LoadUint64(&s.Version) == word && atomic.LoadUint32(&s.State) == svcLive {
			return l, true
		}
	}
	return Live{}, false
}

// Dst returns the destination in a slot.
func (t *Table) Dst(i uint32) Dst {
	d := &t.dsts.elems[i]
	c := *d
	c.Active, c.Inactive, c.Persistent = atomic.LoadUint32(&d.Active), atomic.LoadUint32(&d.Inactive), atomic.LoadUint32(&d.Persistent)
	return c
}

// sum adds up the counters of a destination over the CPUs.
func (t *Table) sum(dst int) (c Counts) {
	n := len(t.dsts.elems)
	for i := dst; i < len(t.stats.elems); i += n {
		s := &t.stats.elems[i]
		c[0] += atomic.LoadUint64(&s.Conns)
		c[1] += atomic.LoadUint64(&s.InPackets)
		c[2] += atomic.LoadUint64(&s.OutPackets)
		c[3] += atomic.LoadUint64(&s.InBytes)
		c[4] += atomic.LoadUint64(&s.OutBytes)
	}
	return c
}

// DstStats returns what a destination counted since it was zeroed.
func (t *Table) DstStats(dst int) Counts {
	c := t.sum(dst)
	for k, z := range t.rates.elems[dst].Zero {
		c[k] -= z
	}
	return c
}

// Signals are what clients' packets tell of a destination (bpf/signals.h), with the
// connections that it was given and the packets of its clients. They only grow, also
// where the slot is given to another destination: their differences mean something.
type Signals struct{ Conns, Answered, Retried, Refused, InPackets uint64 }

// DstSignals returns those of a destination.
func (t *Table) DstSignals(dst int) (s Signals) {
	n := len(t.dsts.elems)
	for i := dst; i < len(t.stats.elems); i += n {
		c := &t.stats.elems[i]
		s.Conns += atomic.LoadUint64(&c.Conns)
		s.Answered += atomic.LoadUint64(&c.Answered)
		s.Retried += atomic.LoadUint64(&c.Retried)
		s.Refused += atomic.LoadUint64(&c.Refused)
		s.InPackets += atomic.LoadUint64(&c.InPackets)
	}
	return s
}

// rateBits is the binary point of the estimators.
const rateBits = 10

// DstRates returns the averages per second, rounded as the kernel's are.
func (t *Table) DstRates(dst int) (c Counts) {
	for k := range c {
		c[k] = (atomic.LoadUint64(&t.rates.elems[dst].Rate[k]) + (1<<rateBits-1)/2) >> rateBits
	}
	return c
}

func (t *Table) zeroDst(dst int) { t.rates.elems[dst].Zero = t.sum(dst) }

// ZeroService sets the counters of a service and its destinations, those that
// are gone too, to zero.
func (t *Table) ZeroService(l Live) {
	for _, i := range t.prepared().owned[l.Slot] {
		if int(t.dsts.elems[i].Svc) == l.Slot {
			t.zeroDst(i)
		}
	}
	t.services.elems[l.Slot].Gone = [5]uint64{}
}

// KernelRelease names the running kernel.
func KernelRelease() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Sprintf("unknown (%v)", err)
	}
	return unix.ByteSliceToString(name.Release[:])
}
