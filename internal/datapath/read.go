package datapath

import (
	"fmt"
	"iter"
	"sync/atomic"
	"time"

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

// ConnRecord is a connection with what its destination says of it.
type ConnRecord struct {
	Conn4
	Dst  Dst
	Left time.Duration
}

// Conns yields the connections alive, in the order of the table.
func (t *Table) Conns() iter.Seq2[ConnRecord, error] {
	return func(yield func(ConnRecord, error) bool) {
		buckets, err := mapArray[controlBucket4](t.place.table(), controlMapConns4)
		if err != nil {
			yield(ConnRecord{}, err)
			return
		}
		defer buckets.close()
		now, hz, err := t.clock()
		if err != nil {
			yield(ConnRecord{}, err)
			return
		}
		for i := range buckets.elems {
			for s := range buckets.elems[i].Slot {
				c, ok := readSlot(&buckets.elems[i].Slot[s])
				left := int32(c.Expires - uint32(now.Jiffies))
				if !ok || left < 0 || int(c.Dst) >= len(t.dsts.elems) {
					continue
				}
				r := ConnRecord{Conn4: c, Dst: t.Dst(c.Dst), Left: time.Duration(left) * time.Second / time.Duration(hz)}
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// readSlot reads a slot that lives and did not change hands meanwhile.
func readSlot(c *Conn4) (Conn4, bool) {
	for {
		life := atomic.LoadUint64(as[uint64](c))
		out := *c
		*as[uint64](&out) = life
		if out.Flags&connLive == 0 {
			return Conn4{}, false
		}
		if atomic.LoadUint64(as[uint64](c)) == life {
			return out, true
		}
	}
}

// ConnCapacity returns how many connections the table has room for, and the
// bytes they take.
func (t *Table) ConnCapacity() (conns int, bytes int64, err error) {
	buckets, err := mapArray[controlBucket4](t.place.table(), controlMapConns4)
	if err != nil {
		return 0, 0, err
	}
	defer buckets.close()
	return len(buckets.elems) * slotsPerBucket, int64(len(buckets.bytes)), nil
}

// KernelRelease names the running kernel.
func KernelRelease() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Sprintf("unknown (%v)", err)
	}
	return unix.ByteSliceToString(name.Release[:])
}
