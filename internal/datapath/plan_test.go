package datapath

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// inMemory is a table without a kernel: enough for what only counts slots.
func inMemory(services, units, dsts int) *Table {
	return &Table{
		settings: array[Settings]{elems: make([]Settings, 1)},
		services: array[Service]{elems: make([]Service, services)},
		units:    array[controlUnit]{elems: make([]controlUnit, units)},
		dsts:     array[Dst]{elems: make([]Dst, dsts)},
		confs:    array[DstConf]{elems: make([]DstConf, dsts)},
		filter:   array[controlFilter]{elems: make([]controlFilter, 1)},
		stats:    array[Stats]{elems: make([]Stats, dsts)},
		rates:    array[Estimator]{elems: make([]Estimator, dsts)},
	}
}

func TestAVersionWordHoldsItsThreeNumbers(t *testing.T) {
	for _, c := range []struct {
		serial       uint64
		first, count int
	}{{0, 0, 0}, {1, 1<<24 - 1, 1<<24 - 1}, {1<<16 - 1, 5, 0}, {1 << 16, 0, 7}} {
		word := packVersion(c.serial, c.first, c.count)
		if first, count := unpackVersion(word); first != c.first || count != c.count {
			t.Errorf("%+v came back as %d units from %d on", c, count, first)
		}
		if word>>48 != c.serial&0xffff {
			t.Errorf("%+v has serial %d", c, word>>48)
		}
	}
	if packVersion(1, 9, 3) == packVersion(2, 9, 3) {
		t.Error("two versions in the same units have the same word")
	}
}

// occupied is which unit belongs to whom; two owners of one unit fail the test.
func occupied(t *testing.T, table *Table) map[int]int {
	t.Helper()
	owner := map[int]int{}
	for slot := range table.services.elems {
		s := &table.services.elems[slot]
		if s.State != svcLive {
			continue
		}
		first, count := unpackVersion(s.Version)
		for i := first; i < first+table.unitsAt(first, count); i++ {
			if other, taken := owner[i]; taken {
				t.Fatalf("unit %d is of services %d and %d", i, other, slot)
			}
			if i >= len(table.units.elems) {
				t.Fatalf("service %d has unit %d of %d", slot, i, len(table.units.elems))
			}
			owner[i] = slot
		}
	}
	return owner
}

func TestUnitsInUseAreNeverHandedOut(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 5))
		table := inMemory(12, 160, 8)
		full := 0
		for range 400 {
			slot := random.IntN(len(table.services.elems))
			s := &table.services.elems[slot]
			entries := make([]Entry, random.IntN(12))
			for i := range entries {
				entries[i] = Entry{Weight: uint32(slot + 1)}
			}
			live := s.State == svcLive
			v := Version{Timeout: uint32(slot), Sched: uint8(random.IntN(2)) * Schedulers["sh"]}
			err := table.commit(slot, Content{Version: v, Entries: entries, Places: make([]uint16, placesOf(&v, len(entries)))}, live)
			if errors.Is(err, ErrFull) {
				full++
			} else if err != nil {
				t.Fatal(err)
			} else {
				s.State, s.Born = svcLive, table.nextSerial()
			}
			if random.IntN(8) == 0 {
				table.plan = nil // another process edited the table
			}
			if random.IntN(4) == 0 && s.State == svcLive {
				first, count := unpackVersion(s.Version)
				s.State = svcFree
				table.prepared().mark(first, table.unitsAt(first, count), false)
				table.nextSerial()
			}
			checkContents(t, table, occupied(t, table))
		}
		if full == 0 {
			t.Error("the units were never scarce")
		}
	}
}

// checkContents sees to it that nobody wrote into another's units.
func checkContents(t *testing.T, table *Table, owner map[int]int) {
	t.Helper()
	for slot := range table.services.elems {
		s := &table.services.elems[slot]
		if s.State != svcLive {
			continue
		}
		first, count := unpackVersion(s.Version)
		if v := as[Version](&table.units.elems[first]); v.Timeout != uint32(slot) {
			t.Fatalf("the version of service %d was overwritten", slot)
		}
		for _, e := range table.entriesAt(first, count) {
			if e.Weight != uint32(slot+1) {
				t.Fatalf("an entry of service %d was overwritten (%d units in use)", slot, len(owner))
			}
		}
	}
}

func TestUnitsJustFreedAreTakenLast(t *testing.T) {
	table := inMemory(1, 16, 1)
	var seen []int
	for range 20 {
		if err := table.commit(0, Content{Entries: make([]Entry, 2)}, table.services.elems[0].State == svcLive); err != nil {
			t.Fatal(err)
		}
		table.services.elems[0].State, table.services.elems[0].Born = svcLive, 1
		first, _ := unpackVersion(table.services.elems[0].Version)
		seen = append(seen, first)
	}
	// Three at a time from sixteen: 0, 3, … 12, and from the start again.
	if want := []int{0, 3, 6, 9, 12, 0, 3}; !slices.Equal(seen[:7], want) {
		t.Errorf("versions began at %v, want %v", seen[:7], want)
	}
}

func TestADestinationSlotWithConnectionsIsNeverHandedOut(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	table := inMemory(1, 16, 16)
	p := table.prepared()
	full := 0
	for range 2000 {
		i := random.IntN(16)
		d := &table.dsts.elems[i]
		switch random.IntN(5) {
		case 0:
			p.dsts[i] = !p.dsts[i]
		case 1:
			d.Active ^= 1
		case 2:
			d.Inactive ^= 1
		case 3:
			d.Persistent ^= 1
		}
		got, err := table.allocDst()
		if errors.Is(err, ErrFull) {
			full++
			for i, d := range table.dsts.elems {
				if i >= firstDst && !p.dsts[i] && d.Active|d.Inactive|d.Persistent == 0 {
					t.Fatalf("slot %d is free, and none was found", i)
				}
			}
			continue
		}
		if d := table.dsts.elems[got]; got < firstDst || p.dsts[got] || d.Active|d.Inactive|d.Persistent != 0 {
			t.Fatalf("slot %d was handed out, which is in use: %+v", got, d)
		}
		p.dsts[got] = random.IntN(2) == 0
	}
	if full == 2000 {
		t.Error("the slots were never free")
	}
}

func TestDestinationSlotsAreTakenInTurn(t *testing.T) {
	table := inMemory(1, 16, firstDst+4)
	table.prepared().dsts[firstDst+2] = true
	var seen []int
	for range 6 {
		i, err := table.allocDst()
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, i-firstDst)
	}
	if want := []int{0, 1, 3, 0, 1, 3}; !slices.Equal(seen, want) {
		t.Errorf("slots %v, want %v", seen, want)
	}
}

func TestADestinationThatComesBackFindsItsSlot(t *testing.T) {
	table := inMemory(2, 16, firstDst+4)
	a, b := Dst{Family: FamilyV4, Port: 80}, Dst{Family: FamilyV4, Port: 81}
	first, err := table.DstSlot(0, a)
	if err != nil {
		t.Fatal(err)
	}
	other, err := table.DstSlot(0, b)
	if err != nil || other == first {
		t.Fatalf("another destination has slot %d (%v)", other, err)
	}
	elsewhere, err := table.DstSlot(1, a)
	if err != nil || elsewhere == first {
		t.Fatalf("the same server in another service has slot %d (%v)", elsewhere, err)
	}
	if again, err := table.DstSlot(0, a); err != nil || again != first {
		t.Errorf("it has slot %d, had %d (%v)", again, first, err)
	}
	table.services.elems[0].Incarnation++
	if again, err := table.DstSlot(0, a); err != nil || again == first {
		t.Errorf("a service that took over the slot of another finds its destination (%v)", err)
	}
}

func TestAServiceTakesItsOldSlotThenAFreshOneThenAFreedOne(t *testing.T) {
	table := inMemory(3, 16, 1)
	id := func(n uint32) ServiceID { return ServiceID{Fwmark: n} }
	live := func(slot int, n uint32) {
		s := &table.services.elems[slot]
		s.Key, s.State, s.Born = id(n), svcLive, table.nextSerial()
		table.prepared().svcs[id(n)] = slot
	}
	for n := range uint32(3) {
		slot, err := table.allocService(id(n + 1))
		if err != nil || slot != int(n) {
			t.Fatalf("service %d has slot %d (%v)", n, slot, err)
		}
		live(slot, n+1)
	}
	if _, err := table.allocService(id(9)); !errors.Is(err, ErrFull) {
		t.Fatalf("a fourth service of three: %v", err)
	}
	table.services.elems[1].State = svcFree
	if slot, err := table.allocService(id(2)); err != nil || slot != 1 {
		t.Errorf("the removed service has slot %d (%v)", slot, err)
	}
	if slot, err := table.allocService(id(9)); err != nil || slot != 1 {
		t.Errorf("a new service has slot %d (%v)", slot, err)
	}
}
