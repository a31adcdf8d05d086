package datapath

import (
	"errors"
	"iter"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
)

// ConnRecord is a connection with what its destination says of it.
type ConnRecord struct {
	Conn
	Family          uint8
	Client, Virtual Addr
	Dst             Dst
	Left            time.Duration
	CallID          string // of a template of the engine sip

	slot *Conn // where it lies, as long as it is handed over
}

// Conns yields the connections alive, in the order of the tables.
func (t *Table) Conns() iter.Seq2[ConnRecord, error] {
	return func(yield func(ConnRecord, error) bool) {
		now, hz, err := t.clock()
		if err != nil {
			yield(ConnRecord{}, err)
			return
		}
		calls, err := openCalls(t.place.table())
		if err != nil {
			yield(ConnRecord{}, err)
			return
		}
		defer calls.Close()
		emit := func(r ConnRecord) bool {
			left := int64(int32(r.Expires - uint32(now.Jiffies)))
			if left < 0 && r.held() {
				left += heldSeconds * int64(hz)
			}
			if left < 0 || int(r.Conn.Dst) >= len(t.dsts.elems) {
				return true
			}
			r.Dst = t.Dst(r.Conn.Dst)
			r.CallID = calls.of(r)
			r.Left = time.Duration(left) * time.Second / time.Duration(hz)
			return yield(r, nil)
		}
		if more, err := t.conns4(emit); err != nil || !more {
			if err != nil {
				yield(ConnRecord{}, err)
			}
			return
		}
		if _, err := t.conns6(emit); err != nil {
			yield(ConnRecord{}, err)
		}
	}
}

// heldSeconds is how long a template stays for those it holds, when it has run out.
const heldSeconds = int64(controlTemplateTimeHELD_SECONDS)

// held reports whether r is a template that holds connections.
func (r *ConnRecord) held() bool {
	return r.Proto&Template != 0 && r.NexthopStamp > 0
}

// conns4 hands over the connections of IPv4, until emit wants no more.
func (t *Table) conns4(emit func(ConnRecord) bool) (more bool, err error) {
	buckets, err := mapArray[controlBucket4](t.place.table(), controlMapConns4)
	if err != nil {
		return false, err
	}
	defer buckets.close()
	for i := range inTable(buckets.elems) {
		for s := range buckets.elems[i].Slot {
			r := ConnRecord{Family: FamilyV4}
			if !r.read(&buckets.elems[i].Slot[s], nil) {
				continue
			}
			*as[uint32](&r.Client), *as[uint32](&r.Virtual) = r.Caddr, r.Vaddr
			if !emit(r) {
				return false, nil
			}
		}
	}
	return true, nil
}

// conns6 does the same for IPv6.
func (t *Table) conns6(emit func(ConnRecord) bool) (more bool, err error) {
	buckets, err := mapArray[controlBucket6](t.place.table(), controlMapConns6)
	if err != nil {
		return false, err
	}
	defer buckets.close()
	for i := range inTable(buckets.elems) {
		b := &buckets.elems[i]
		for s := range b.Slot {
			r := ConnRecord{Family: FamilyV6}
			if r.read(&b.Slot[s], &b.Ends[s]) && !emit(r) {
				return false, nil
			}
		}
	}
	return true, nil
}

// inTable leaves out the buckets behind the table, one for each CPU.
func inTable[T any](buckets []T) []T {
	return buckets[:max(0, len(buckets)-ebpf.MustPossibleCPU())]
}

// read reads a slot that lives and did not change hands meanwhile.
func (r *ConnRecord) read(c *Conn, ends *controlConnEnds) bool {
	for {
		life := atomic.LoadUint64(as[uint64](c))
		r.Conn, r.slot = *c, c
		if ends != nil {
			r.Client, r.Virtual = ends.Caddr.B, ends.Vaddr.B
		}
		*as[uint64](&r.Conn) = life
		if r.Flags&connLive == 0 {
			return false
		}
		if atomic.LoadUint64(as[uint64](c)) == life {
			return true
		}
	}
}

// ConnState is the state alone of what is no template: above it, packets are counted.
func (r *ConnRecord) ConnState() uint8 { return r.State & stateMask }

// Capacity is how much room the table of a family has, and how much is in use of
// the part that is for half-open connections.
type Capacity struct {
	Conns          int   // connections there is room for
	HalfOpenPlaces int   // half-open ones among them
	HalfOpen       int   // how many there are
	Bytes          int64 // of the maps that grow with it
}

// Capacities returns the capacities of IPv4 and of IPv6, and the bytes they take
// together.
func (t *Table) Capacities() (v4, v6 Capacity, bytes int64, err error) {
	dir := t.place.table()
	four, err4 := mapArray[controlBucket4](dir, controlMapConns4)
	defer four.close()
	six, err6 := mapArray[controlBucket6](dir, controlMapConns6)
	defer six.close()
	ring, errRing := mapArray[uint64](dir, controlMapHalfRing)
	defer ring.close()
	floods, errFloods := mapArray[controlFlood](dir, controlMapFloods)
	defer floods.close()
	if err := errors.Join(err4, err6, errRing, errFloods); err != nil {
		return v4, v6, 0, err
	}
	v4, v6 = capacity(four.elems, &floods.elems[0]), capacity(six.elems, &floods.elems[1])
	v4.Bytes, v6.Bytes = int64(len(four.bytes)+8*v4.HalfOpenPlaces), int64(len(six.bytes)+8*v6.HalfOpenPlaces)
	return v4, v6, int64(len(four.bytes) + len(six.bytes) + len(ring.bytes)), nil
}

func capacity[T any](buckets []T, f *controlFlood) Capacity {
	slots := len(inTable(buckets)) * slotsPerBucket
	// the overflow region, a small part of the slots, has no places
	hashed := 1 << (bits.Len(uint(len(inTable(buckets)))) - 1)
	return Capacity{
		Conns:          slots,
		HalfOpenPlaces: halfOpenPlaces(hashed),
		HalfOpen:       int(atomic.LoadInt32(&f.HalfOpen)),
	}
}
