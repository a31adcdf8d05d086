package datapath

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// carrier carries the connections of one table to another (bpf/carry.h). It remembers
// what each was when it was last carried, so that a further pass carries what has
// changed since.
type carrier struct {
	tables  [2]connTable
	program *ebpf.Program
	batch   array[controlCarried]
	from    []carriedFrom // of the batch
	// settled: the other table has all the connections, and knows more of them.
	settled bool

	carried, refused int // of the last pass
}

// carriedFrom is where a record of the batch was read.
type carriedFrom struct {
	table *connTable
	slot  int
}

// connTable is a table of connections as it is laid out by the programs that serve it.
type connTable struct {
	family  uint8
	buckets rawArray
	count   int // of the buckets that connections are looked for in
	slots   connSlots
	lives   []uint64       // when they were last carried, by slot; 0 not yet
	held    map[int]uint32 // by templates, when they were last carried
}

// connSlots is where in a bucket the slots are, and in them their fields.
type connSlots struct {
	slot, ends                                   field // arrays of a bucket; ends of IPv6 alone
	size, endsSize, n                            int
	life                                         int // where the word begins that changes as one
	expires, state, flags, gen                   field
	cport, vport, dst, proto, control            field
	nexthop, stamp, caddr, vaddr, caddr6, vaddr6 field
}

// connSlotsOf finds the fields of a bucket by their names.
func connSlotsOf(bucket btf.Type, family uint8) (s connSlots, err error) {
	need := func(record btf.Type, name string) (f field) {
		f, ok := fieldOf(record, name)
		if !ok {
			err = fmt.Errorf("connections have no %s: %w", name, ErrLayout)
		}
		return f
	}
	s.slot = need(bucket, "slot")
	slots, ok := btf.As[*btf.Array](s.slot.kind)
	if err != nil || !ok {
		return s, fmt.Errorf("buckets of connections: %w", ErrLayout)
	}
	conn := slots.Type
	s.size, s.n = sizeOf(conn), int(slots.Nelems)
	for name, to := range map[string]*field{
		"expires": &s.expires, "state": &s.state, "flags": &s.flags, "gen": &s.gen,
		"cport": &s.cport, "vport": &s.vport, "dst": &s.dst, "proto": &s.proto, "control": &s.control,
		"nexthop": &s.nexthop, "nexthop_stamp": &s.stamp, "caddr": &s.caddr, "vaddr": &s.vaddr,
	} {
		*to = need(conn, name)
	}
	s.life = min(s.expires.at, s.state.at, s.flags.at, s.gen.at)
	for _, f := range []field{s.expires, s.state, s.flags, s.gen} {
		if s.life%8 != 0 || f.at+f.size > s.life+8 {
			return s, fmt.Errorf("the life of a connection is no word: %w", ErrLayout)
		}
	}
	if family == FamilyV6 && err == nil {
		s.ends = need(bucket, "ends")
		ends, ok := btf.As[*btf.Array](s.ends.kind)
		if !ok {
			return s, fmt.Errorf("buckets of connections: %w", ErrLayout)
		}
		s.endsSize = sizeOf(ends.Type)
		s.caddr6, s.vaddr6 = need(ends.Type, "caddr"), need(ends.Type, "vaddr")
	}
	return s, err
}

// openConnTable opens the connections of a family of the table pinned in dir.
func openConnTable(dir, name string, family uint8, spec *ebpf.MapSpec, cpus int) (t connTable, err error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, name), nil)
	if err != nil {
		return t, fmt.Errorf("pinned map %s: %w", name, err)
	}
	defer m.Close()
	types, err := typesOf(m)
	if err != nil {
		return t, err
	}
	bucket := recordOf(types, spec.Value)
	if bucket == nil {
		return t, fmt.Errorf("map %s: %w", name, ErrLayout)
	}
	t = connTable{family: family, held: map[int]uint32{}}
	if t.slots, err = connSlotsOf(bucket, family); err != nil {
		return t, err
	}
	if t.buckets, err = mapBytes(m); err != nil {
		return t, err
	}
	t.count = max(0, t.buckets.n-cpus) // behind them lie those of one packet
	t.lives = make([]uint64, t.count*t.slots.n)
	return t, nil
}

// newCarrier carries from the table pinned in old to that pinned in now.
func newCarrier(old, now string, c conf) (r *carrier, err error) {
	r = &carrier{}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	own, err := loadControl()
	if err != nil {
		return r, fmt.Errorf("compiled data path: %w", err)
	}
	for i, name := range []string{controlMapConns4, controlMapConns6} {
		family := []uint8{FamilyV4, FamilyV6}[i]
		if r.tables[i], err = openConnTable(old, name, family, own.Maps[name], int(c.Cpus)); err != nil {
			return r, err
		}
	}
	if r.batch, err = mapArray[controlCarried](now, controlMapCarries); err != nil {
		return r, err
	}
	if r.program, err = ebpf.LoadPinnedProgram(filepath.Join(now, controlProgEvsCarry), nil); err != nil {
		return r, fmt.Errorf("carrying connections: %w", err)
	}
	return r, nil
}

func (r *carrier) close() {
	for i := range r.tables {
		r.tables[i].buckets.close()
	}
	r.batch.close()
	if r.program != nil {
		r.program.Close()
	}
}

// pass carries what has changed since the last.
func (r *carrier) pass() error {
	r.carried, r.refused = 0, 0
	for i := range r.tables {
		t := &r.tables[i]
		for slot := range t.lives {
			record, ok := t.changed(slot)
			if !ok {
				continue
			}
			r.batch.elems[len(r.from)] = record
			r.from = append(r.from, carriedFrom{t, slot})
			if len(r.from) == len(r.batch.elems) {
				if err := r.flush(); err != nil {
					return err
				}
			}
		}
	}
	return r.flush()
}

// flush has the records of the batch carried. What there was no room for is tried again
// by the next pass.
func (r *carrier) flush() error {
	packet := make([]byte, 64)
	binary.NativeEndian.PutUint32(packet[14:], uint32(len(r.from)))
	if r.settled {
		packet[18] = 1
	}
	code, _, err := r.program.Test(packet)
	if err != nil || code != 0 {
		return fmt.Errorf("carrying connections: code %d: %w", code, err)
	}
	for i, from := range r.from {
		r.carried++
		if r.batch.elems[i].Refused != 0 {
			r.refused++
			from.table.lives[from.slot] = 0
		}
	}
	r.from = r.from[:0]
	return nil
}

// lifeOf composes the life of a slot as bpf/carry.h has it, of the word that it is one of.
func (s *connSlots) lifeOf(conn []byte) uint64 {
	word := atomic.LoadUint64(as[uint64](&conn[s.life]))
	part := func(f field) uint64 { return word >> (8 * (f.at - s.life)) & (1<<(8*f.size) - 1) }
	return part(s.expires) | part(s.state)<<32 | part(s.flags)<<40 | part(s.gen)<<48
}

const genShift = 48

// carriedLife reports whether a life is one to be carried: of what is in force, and of
// templates that lead somewhere.
func carriedLife(life uint64) bool { return uint8(life>>40)&ConnRetired == connLive }

// changed returns the record of what lies in a slot, if it is another than it was.
func (t *connTable) changed(slot int) (record controlCarried, changed bool) {
	s := &t.slots
	bucket := t.buckets.elem(slot / s.n)
	conn := bucket[s.slot.at+slot%s.n*s.size:][:s.size]
	for {
		life, was := s.lifeOf(conn), t.lives[slot]
		if life>>genShift != was>>genShift {
			was = 0 // another: if that had been carried, its time ends it there
		}
		live := carriedLife(life)
		template := uint8(s.proto.get(conn))&Template != 0
		if !live && was == 0 {
			t.lives[slot] = 0
			return record, false
		}
		if life == was && !template {
			return record, false
		}
		record = t.record(bucket, conn, slot%s.n)
		if record.Was = was; live {
			record.Life = life
		}
		if s.lifeOf(conn) != life {
			continue // it changed meanwhile
		}
		if template && live && !t.holds(slot, &record) {
			return record, false
		}
		t.lives[slot] = record.Life
		return record, true
	}
}

// holds makes of how many connections a template holds how many more they are than when
// it was last carried. False: neither that nor its life is another.
func (t *connTable) holds(slot int, record *controlCarried) bool {
	held := record.NexthopStamp
	if record.Was != 0 {
		record.NexthopStamp -= t.held[slot]
		if record.Life == record.Was && record.NexthopStamp == 0 {
			return false
		}
	}
	t.held[slot] = held
	return true
}

// record reads a slot but for its life.
func (t *connTable) record(bucket, conn []byte, i int) controlCarried {
	s := &t.slots
	r := controlCarried{
		Dst: uint32(s.dst.get(conn)), Cport: uint16(s.cport.get(conn)), Vport: uint16(s.vport.get(conn)),
		NexthopStamp: uint32(s.stamp.get(conn)), Nexthop: uint16(s.nexthop.get(conn)),
		Proto: uint8(s.proto.get(conn)), Control: uint8(s.control.get(conn)), Family: t.family,
	}
	if t.family == FamilyV4 {
		copy(r.Caddr.B[:], s.caddr.in(conn))
		copy(r.Vaddr.B[:], s.vaddr.in(conn))
		return r
	}
	ends := bucket[s.ends.at+i*s.endsSize:][:s.endsSize]
	copy(r.Caddr.B[:], s.caddr6.in(ends))
	copy(r.Vaddr.B[:], s.vaddr6.in(ends))
	return r
}
