package datapath

import (
	"errors"
	"iter"
	"sync/atomic"
	"time"
)

// ConnRecord is a connection with what its destination says of it.
type ConnRecord struct {
	Conn
	Family          uint8
	Client, Virtual Addr
	Dst             Dst
	Left            time.Duration
}

// Conns yields the connections alive, in the order of the tables.
func (t *Table) Conns() iter.Seq2[ConnRecord, error] {
	return func(yield func(ConnRecord, error) bool) {
		now, hz, err := t.clock()
		if err != nil {
			yield(ConnRecord{}, err)
			return
		}
		emit := func(r ConnRecord) bool {
			left := int32(r.Expires - uint32(now.Jiffies))
			if left < 0 || int(r.Conn.Dst) >= len(t.dsts.elems) {
				return true
			}
			r.Dst = t.Dst(r.Conn.Dst)
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

// conns4 hands over the connections of IPv4, until emit wants no more.
func (t *Table) conns4(emit func(ConnRecord) bool) (more bool, err error) {
	buckets, err := mapArray[controlBucket4](t.place.table(), controlMapConns4)
	if err != nil {
		return false, err
	}
	defer buckets.close()
	for i := range buckets.elems {
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
	for i := range buckets.elems {
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

// read reads a slot that lives and did not change hands meanwhile.
func (r *ConnRecord) read(c *Conn, ends *controlConnEnds) bool {
	for {
		life := atomic.LoadUint64(as[uint64](c))
		r.Conn = *c
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

// ConnCapacity returns how many connections of IPv4 and of IPv6 the table has
// room for, and the bytes they take together.
func (t *Table) ConnCapacity() (conns4, conns6 int, bytes int64, err error) {
	four, err4 := mapArray[controlBucket4](t.place.table(), controlMapConns4)
	defer four.close()
	six, err6 := mapArray[controlBucket6](t.place.table(), controlMapConns6)
	defer six.close()
	return len(four.elems) * slotsPerBucket, len(six.elems) * slotsPerBucket,
		int64(len(four.bytes) + len(six.bytes)), errors.Join(err4, err6)
}
