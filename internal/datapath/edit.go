package datapath

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/cilium/ebpf"
)

// begin marks the table as being edited; the end that belongs to the first
// begin takes the mark away. A writer that is killed between leaves the mark,
// and the next one puts in order what follows from the rest.
func (t *Table) begin() {
	t.depth++
	atomic.StoreUint32(&t.Settings().Dirty, 1)
}

func (t *Table) end() {
	if t.depth--; t.depth == 0 {
		atomic.StoreUint32(&t.Settings().Dirty, 0)
	}
}

// nextSerial numbers births and versions. The plan stays valid: the edit that
// takes the number keeps it so.
func (t *Table) nextSerial() uint64 {
	s := t.Settings()
	atomic.AddUint64(&s.Serial, 1)
	if t.plan != nil {
		t.plan.serial = s.Serial
	}
	return s.Serial
}

// recover puts in order what a killed writer left: the index of services, and
// which destinations are available, follow from the live services.
func (t *Table) recover() error {
	if atomic.LoadUint32(&t.Settings().Dirty) == 0 {
		return nil
	}
	t.depth = 0
	t.begin()
	t.plan = nil
	p := t.prepared()
	live := map[ServiceID]uint32{}
	for i := range t.services.elems {
		if s := &t.services.elems[i]; s.State == svcLive {
			live[s.Key] = uint32(i)
		}
	}
	if err := t.recoverIndex(live); err != nil {
		return err
	}
	for i := range t.dsts.elems {
		t.setAvailable(i, p.dsts[i])
	}
	for id, slot := range live {
		t.addVIP(id)
		for _, e := range t.entriesAt(unpackVersion(t.services.elems[slot].Version)) {
			t.setConf(e)
		}
	}
	for i, used := range p.dsts {
		if used {
			t.addRIP(&t.dsts.elems[i])
		}
	}
	t.end()
	return nil
}

func (t *Table) recoverIndex(live map[ServiceID]uint32) error {
	var id ServiceID
	var slot uint32
	var dead []ServiceID
	it := t.index.Iterate()
	for it.Next(&id, &slot) {
		if want, ok := live[id]; !ok || want != slot {
			dead = append(dead, id)
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("index of services: %w", err)
	}
	for _, id := range dead {
		if err := t.index.Delete(id); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("index of services: %w", err)
		}
	}
	for id, slot := range live {
		if err := t.index.Put(id, slot); err != nil {
			return fmt.Errorf("index of services: %w", err)
		}
	}
	return nil
}

// AddService makes a service without destinations and returns its slot. The
// caller has seen that it does not exist.
func (t *Table) AddService(id ServiceID, c Content) (int, error) {
	awake := t.prepared().awake()
	t.begin()
	defer t.end()
	slot, err := t.Place(id)
	if err != nil {
		return 0, err
	}
	if err := t.Configure(slot, c); err != nil {
		return 0, errors.Join(err, t.unindex(id))
	}
	t.Publish(slot)
	if t.prepared().awake() != awake {
		t.refilter() // connections of services before it are looked at again
	}
	return slot, nil
}

// DeleteService takes a service and its destinations out of the table. Its
// connections stay until they expire, and come back to life with it. Refilter
// is to follow.
func (t *Table) DeleteService(slot int) error {
	if t.joint != nil {
		t.joint.deaths = append(t.joint.deaths, slot)
		return nil
	}
	t.begin()
	defer t.end()
	return t.bury(slot)
}

// retire makes destinations unavailable and keeps what they counted, for the
// service and, should they come back, for themselves.
func (t *Table) retire(s *Service, gone []Entry) {
	for _, e := range gone {
		for k, n := range t.DstStats(int(e.Dst)) {
			s.Gone[k] += n
		}
		t.setAvailable(int(e.Dst), false)
		t.prepared().dsts[e.Dst] = false
		t.orphans = true
	}
}

// endOrphans ends the connections of the destinations that the edit removed, if
// expire_nodest_conn asks for it.
func (t *Table) endOrphans() error {
	if !t.orphans {
		return nil
	}
	t.orphans = false
	if t.Settings().Sysctl[controlSysctlSYSCTL_EXPIRE_NODEST_CONN] == 0 {
		return nil
	}
	return t.sweep()
}

// welcome takes destinations that are new to a service out of what it keeps of
// those that are gone. One that still has connections goes on counting, as in
// the kernel, which has kept it for them; another begins at zero.
func (t *Table) welcome(s *Service, entries, was []Entry) {
	known := map[uint32]bool{}
	for _, e := range was {
		known[e.Dst] = true
	}
	for _, e := range entries {
		if d := &t.dsts.elems[e.Dst]; known[e.Dst] {
			continue
		} else if d.Active|d.Inactive|d.Persistent == 0 {
			t.zeroDst(int(e.Dst))
		}
		for k, n := range t.DstStats(int(e.Dst)) {
			s.Gone[k] -= n // below zero for a new service: the sum is right
		}
	}
}

// Content is what an edit gives a service: its configuration, its destinations,
// the newest first, and what its scheduler needs of them.
type Content struct {
	Version Version
	Entries []Entry
	Places  []uint16 // the table of a scheduler that hashes
	State   uint64   // the scheduler's memory
}

// Configure replaces configuration and destinations of a service by one store:
// a packet sees the old or the new. If destinations went, Refilter is to follow.
func (t *Table) Configure(slot int, c Content) error {
	s := &t.services.elems[slot]
	lives := s.State == svcLive
	var was []Entry
	if lives {
		was = t.entriesAt(unpackVersion(s.Version))
	}
	t.begin()
	defer t.end()
	t.now(func() {
		for _, e := range c.Entries {
			t.setAvailable(int(e.Dst), true)
			t.setConf(e)
			t.prepared().dsts[e.Dst] = true
		}
	})
	if err := t.commit(slot, c, lives); err != nil {
		return err
	}
	t.now(func() {
		t.welcome(s, c.Entries, was)
		t.retire(s, without(was, c.Entries))
	})
	return nil
}

// without returns the entries whose destinations are not among those kept.
func without(entries, kept []Entry) []Entry {
	stays := make(map[uint32]bool, len(kept))
	for _, e := range kept {
		stays[e.Dst] = true
	}
	return slices.DeleteFunc(entries, func(e Entry) bool { return stays[e.Dst] })
}

// commit writes a version to free units and stores the word that names it.
func (t *Table) commit(slot int, c Content, replace bool) error {
	count := len(c.Entries)
	if want := placesOf(&c.Version, count); want != len(c.Places) {
		return fmt.Errorf("%w: a table of %d places for a scheduler that has %d", errProgram, len(c.Places), want)
	}
	n := unitsOf(&c.Version, count)
	first, err := t.allocUnits(n)
	if err != nil {
		return err
	}
	units := t.units.elems[first : first+n]
	*as[Version](&units[0]) = c.Version
	for i, e := range c.Entries {
		*as[Entry](&units[1+i]) = e
	}
	for i, place := range c.Places {
		as[placeUnit](&units[1+count+i/placesPerUnit])[i%placesPerUnit] = place
	}
	shares := units[1+count:]
	for i := range (sharesOf(&c.Version, count) + sharesPerUnit - 1) / sharesPerUnit {
		unit := as[shareUnit](&shares[i])
		*unit = shareUnit{}
		for k, e := range c.Entries[i*sharesPerUnit : min(count, (i+1)*sharesPerUnit)] {
			unit[k] = share(e)
		}
	}
	t.prepared().mark(first, n, true)
	s := &t.services.elems[slot]
	old, word := s.Version, packVersion(t.nextSerial(), first, count)
	t.now(func() {
		was, count := unpackVersion(old)
		atomic.StoreUint64(&s.Version, word)
		atomic.StoreUint64(&s.SchedState, c.State)
		if replace {
			t.prepared().mark(was, t.unitsAt(was, count), false)
		}
	})
	return nil
}

// DstSlot returns the slot of a destination of a service: that which it has or
// had, with the connections it may still have, else a free one. What may change
// of it is set as wanted.
func (t *Table) DstSlot(slot int, want Dst) (int, error) {
	if want.checked() {
		if err := t.needCutter(); err != nil {
			return 0, err
		}
	}
	s := &t.services.elems[slot]
	p := t.prepared()
	for _, i := range p.owned[slot] {
		d := &t.dsts.elems[i]
		if d.Svc == uint16(slot) && d.Incarnation == s.Incarnation && d.Port == want.Port && d.Family == want.Family && d.Addr == want.Addr {
			p.dsts[i] = true // nothing else of this edit takes it
			t.addRIP(d)      // the filter may have forgotten it
			t.now(func() { d.tune(want) })
			return i, nil
		}
	}
	i, err := t.allocDst()
	if err != nil {
		return 0, err
	}
	t.begin()
	defer t.end()
	d := &t.dsts.elems[i]
	t.confs.elems[i] = DstConf{}
	*d = Dst{Addr: want.Addr, Port: want.Port, Family: want.Family, Svc: uint16(slot), Incarnation: s.Incarnation}
	d.tune(want)
	t.zeroDst(i)
	if used := &t.Settings().DstUsed; uint32(i) >= *used {
		atomic.StoreUint32(used, uint32(i)+1)
	}
	t.addRIP(d)
	p.dsts[i] = true // a second destination of this edit takes another
	p.owned[slot] = append(p.owned[slot], i)
	return i, nil
}

// tune sets what of a destination may change while connections use it. The data
// path reads these fields and never writes them.
func (d *Dst) tune(want Dst) {
	d.Source = want.Source
	d.Tunnel, d.TunnelFlags, d.TunnelPort = want.Tunnel, want.TunnelFlags, want.TunnelPort
	d.Flags = d.Flags&^DstLocal | want.Flags&DstLocal
}

// setConf keeps what of an entry is asked for by destination. Without an upper
// threshold, or with a higher one, a destination is not overloaded any more. The data
// path writes Overloaded alone.
func (t *Table) setConf(e Entry) {
	c := &t.confs.elems[e.Dst]
	if e.Upper == 0 || e.Upper > c.Upper {
		c.Overloaded = 0
	}
	c.Method, c.Weight, c.Upper, c.Lower = e.Method, e.Weight, e.Upper, e.Lower
	t.setFlag(int(e.Dst), dstQuiescent, e.Weight == 0)
	t.setFlag(int(e.Dst), dstLimited, e.Upper > 0)
}

// setAvailable tells the data path whether connections may go on to a
// destination.
func (t *Table) setAvailable(i int, on bool) { t.setFlag(i, dstAvailable, on) }

// setFlag writes only a byte that the data path never does.
func (t *Table) setFlag(i int, flag uint8, on bool) {
	flags := &t.dsts.elems[i].Flags
	if on {
		*flags |= flag
	} else {
		*flags &^= flag
	}
}
