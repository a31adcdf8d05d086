package datapath

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cilium/ebpf"
)

// joint is an edit of several services that is prepared and not yet in force.
// Nothing in the three lists can fail for want of room: that was found before.
type joint struct {
	stores []func()    // versions come into force
	births []int       // slots of services that begin to live
	deaths []int       // slots of services that end
	placed []ServiceID // entered in the index for the births
	taken  map[int]bool
}

// Together makes one edit of what change does to services: their versions,
// births and deaths are prepared beside what is in force, and come into force
// one after the other without a step that can fail, once change has returned.
// If it fails instead, everything is as it was.
//
// To a packet each service changes by one store. Between two services it may
// meet the new one and the old other, for some microseconds. change is to
// touch each service once; it reads the table as it was.
func (t *Table) Together(change func() error) error {
	j := &joint{taken: map[int]bool{}}
	t.begin()
	t.joint = j
	err := change()
	t.joint = nil
	if err != nil {
		return errors.Join(err, t.abandon(j))
	}
	for _, store := range j.stores {
		store()
	}
	for _, slot := range j.births {
		t.Publish(slot)
	}
	var errs []error
	for _, slot := range j.deaths {
		errs = append(errs, t.bury(slot))
	}
	t.refilter()
	if err := errors.Join(errs...); err != nil {
		return err // the mark stays: the next edit puts the index in order
	}
	t.end()
	return nil
}

// abandon forgets what was prepared. Units, slots and addresses that it took
// are free because no live service names them.
func (t *Table) abandon(j *joint) error {
	t.plan = nil
	var errs []error
	for _, id := range j.placed {
		errs = append(errs, t.unindex(id))
	}
	t.refilter()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	t.end()
	return nil
}

// now runs a store that brings something into force, or keeps it for the end
// of the joint edit it is part of.
func (t *Table) now(store func()) {
	if t.joint != nil {
		t.joint.stores = append(t.joint.stores, store)
		return
	}
	store()
}

// Place finds a slot for a service that does not exist, and enters it in the
// index. Nobody sees the service before Publish.
func (t *Table) Place(id ServiceID) (int, error) {
	slot, err := t.allocService(id)
	if err != nil {
		return 0, err
	}
	p := t.prepared()
	s := &t.services.elems[slot]
	t.begin()
	defer t.end()
	if s.Key != id {
		delete(p.svcs, s.Key)
		s.Incarnation++
		s.Key = id
	}
	s.Gone = [5]uint64{}
	s.Born = t.nextSerial()
	p.svcs[id] = slot
	t.addVIP(id)
	if err := t.index.Put(id, uint32(slot)); err != nil {
		return 0, fmt.Errorf("index of services: %w", err)
	}
	if t.joint != nil {
		t.joint.taken[slot] = true
		t.joint.placed = append(t.joint.placed, id)
	}
	return slot, nil
}

// Publish begins the life of a service that was placed and configured.
func (t *Table) Publish(slot int) {
	if t.joint != nil {
		t.joint.births = append(t.joint.births, slot)
		return
	}
	p, s := t.prepared(), &t.services.elems[slot]
	atomic.StoreUint32(&s.State, svcLive)
	p.live[s.Key.Family]++
}

// bury ends a service and keeps what its destinations counted.
func (t *Table) bury(slot int) error {
	p, s := t.prepared(), &t.services.elems[slot]
	first, count := unpackVersion(s.Version)
	t.retire(s, t.entriesAt(first, count))
	for k, n := range s.Gone {
		t.Settings().Gone[k] += n
	}
	atomic.StoreUint32(&s.State, svcFree)
	p.live[s.Key.Family]--
	p.mark(first, t.unitsAt(first, count), false)
	t.nextSerial()
	return t.unindex(s.Key)
}

func (t *Table) unindex(id ServiceID) error {
	if err := t.index.Delete(id); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("index of services: %w", err)
	}
	return nil
}
