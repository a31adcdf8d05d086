package datapath

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrFull means that the table has no room for another service, destination or
// configuration.
var ErrFull = errors.New("table full")

// errProgram is a mistake of the caller, not of a person.
var errProgram = errors.New("mistake in the program")

// plan is what of the arrays is in use. It follows from the live services
// alone, so that a killed writer leaves nothing that counts as used.
type plan struct {
	serial uint64
	units  []bool
	dsts   []bool            // named by a live version
	svcs   map[ServiceID]int // slots by identity, live or not
	fresh  int               // service slots from here on were never used
	owned  map[int][]int     // destination slots by the service they are or were of
	live   map[uint8]int     // how many services live, by family
}

// prepared returns the plan, made anew if another process edited the table.
func (t *Table) prepared() *plan {
	if t.plan != nil && t.plan.serial == t.Settings().Serial {
		return t.plan
	}
	p := &plan{
		serial: t.Settings().Serial,
		units:  make([]bool, len(t.units.elems)),
		dsts:   make([]bool, len(t.dsts.elems)),
		svcs:   map[ServiceID]int{},
		owned:  map[int][]int{},
		live:   map[uint8]int{},
	}
	for i := range t.services.elems {
		s := &t.services.elems[i]
		if s.Born == 0 {
			continue // never used
		}
		p.fresh = i + 1
		p.svcs[s.Key] = i
		if s.State != svcLive {
			continue
		}
		p.live[s.Key.Family]++
		first, count := unpackVersion(s.Version)
		p.mark(first, t.unitsAt(first, count), true)
		for _, e := range t.entriesAt(first, count) {
			p.dsts[e.Dst] = true
		}
	}
	for i := firstDst; i < int(t.Settings().DstUsed); i++ {
		if d := &t.dsts.elems[i]; d.Family != 0 {
			p.owned[int(d.Svc)] = append(p.owned[int(d.Svc)], i)
		}
	}
	t.plan = p
	return p
}

// awake says for which families there are services: IPv4 and IPv6.
func (p *plan) awake() [2]bool { return [2]bool{p.live[FamilyV4] > 0, p.live[FamilyV6] > 0} }

func (p *plan) mark(first, n int, used bool) {
	for i := first; i < first+n; i++ {
		p.units[i] = used
	}
}

// The version word: serial << 48 | count << 24 | first unit.
const versionBits = 24

func packVersion(serial uint64, first, count int) uint64 {
	return serial<<(2*versionBits) | uint64(count)<<versionBits | uint64(first)
}

func unpackVersion(word uint64) (first, count int) {
	const mask = 1<<versionBits - 1
	return int(word & mask), int(word >> versionBits & mask)
}

func (t *Table) entriesAt(first, count int) []Entry {
	out := make([]Entry, count)
	for i := range out {
		out[i] = *as[Entry](&t.units.elems[first+1+i])
	}
	return out
}

// placesPerUnit is how many places of a scheduler's table a unit holds.
const placesPerUnit = len(placeUnit{})

// placeUnit is a unit of a scheduler's table.
type placeUnit = [16]uint16

// placesOf returns how many places the table of a version has: none without
// destinations.
func placesOf(v *Version, count int) int {
	if count == 0 {
		return 0
	}
	return places[v.Sched]
}

// sharesPerUnit is how many shares a unit holds.
const sharesPerUnit = int(controlSharesSHARES_PER_UNIT)

// shareUnit is a unit of the shares of a version.
type shareUnit = [sharesPerUnit]controlShare

// sharesOf returns how many shares stand behind the entries of a version: one for
// each, if its scheduler looks at all of them.
func sharesOf(v *Version, count int) int {
	if !looksAtAll[v.Sched] {
		return 0
	}
	return count
}

// share is what an entry has for who looks at all of them.
func share(e Entry) controlShare {
	s := controlShare{Dst: e.Dst, Weight: e.Weight}
	if e.Upper > 0 {
		s.Weight |= 1 << 31 // SHARE_LIMITED
	}
	return s
}

// unitsOf returns how many units a version takes: one for itself, one for each
// destination, and those of its table or its shares.
func unitsOf(v *Version, count int) int {
	return 1 + count + (placesOf(v, count)+placesPerUnit-1)/placesPerUnit + (sharesOf(v, count)+sharesPerUnit-1)/sharesPerUnit
}

// unitsAt is unitsOf for a version in force.
func (t *Table) unitsAt(first, count int) int {
	return unitsOf(as[Version](&t.units.elems[first]), count)
}

// allocUnits finds n free units in a row. The search goes on where the last
// one ended, so that units just freed, which a packet may still read, are
// taken last.
func (t *Table) allocUnits(n int) (int, error) {
	used := t.prepared().units
	start := int(t.Settings().UnitNext)
	run := 0
	for i := range 2 * len(used) {
		at := (start + i) % len(used)
		if at == 0 {
			run = 0 // a run does not wrap
		}
		if used[at] {
			run = 0
			continue
		}
		if run++; run == n {
			t.Settings().UnitNext = uint32((at + 1) % len(used))
			return at - n + 1, nil
		}
	}
	return 0, fmt.Errorf("%w: no room for a service of %d units; remove services or destinations that are not needed", ErrFull, n)
}

// allocDst finds a destination slot that nothing names, again the longest
// unused first.
func (t *Table) allocDst() (int, error) {
	used := t.prepared().dsts
	start := int(t.Settings().DstNext)
	for i := range used {
		at := (start + i) % len(used)
		d := &t.dsts.elems[at]
		if at < firstDst || used[at] || atomic.LoadUint32(&d.Active)|atomic.LoadUint32(&d.Inactive)|atomic.LoadUint32(&d.Persistent) != 0 {
			continue
		}
		t.Settings().DstNext = uint32((at + 1) % len(used))
		return at, nil
	}
	return 0, fmt.Errorf("%w: %d destinations are all it has room for", ErrFull, len(used)-firstDst)
}

// allocService finds a slot for a service: the one it had before, else a free
// one.
func (t *Table) allocService(id ServiceID) (int, error) {
	p := t.prepared()
	if i, ok := p.svcs[id]; ok {
		return i, nil
	}
	if p.fresh < len(t.services.elems) {
		p.fresh++
		return p.fresh - 1, nil
	}
	for i := range t.services.elems {
		if t.services.elems[i].State == svcFree && (t.joint == nil || !t.joint.taken[i]) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%w: %d services are all it has room for", ErrFull, len(t.services.elems))
}
