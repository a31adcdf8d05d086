package datapath

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// settled is all that packets go by: services, destinations, and what the
// services' versions say.
func settled(table *Table) any {
	var versions [][]Entry
	for _, l := range table.Services() {
		versions = append(versions, l.Entries)
	}
	return []any{slices.Clone(table.services.elems), slices.Clone(table.dsts.elems), versions, table.filter.elems[0]}
}

// populated is a table of live services with two destinations each.
func populated(t *testing.T, services int) *Table {
	t.Helper()
	table := inMemory(services, 1000, 100)
	for slot := range services {
		s := &table.services.elems[slot]
		s.Key = ServiceID{Family: FamilyV4, Port: uint16(slot + 1), Proto: 6}
		s.Born, s.State = table.nextSerial(), svcLive
		s.Version = packVersion(table.nextSerial(), 1000-1-slot, 0)
	}
	table.plan = nil
	for slot := range services {
		reshape(t, table, slot, []byte{1, 2}, 6080)
	}
	table.refilter()
	return table
}

// reshape gives a service destinations with these last bytes.
func reshape(t *testing.T, table *Table, slot int, hosts []byte, tunnelPort uint16) {
	t.Helper()
	var entries []Entry
	for _, host := range hosts {
		want := Dst{Family: FamilyV4, Port: 80, TunnelPort: tunnelPort}
		want.Addr.B = Addr{192, 0, 2, host}
		dst, err := table.DstSlot(slot, want)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, Entry{Dst: uint32(dst), Weight: uint32(host)})
	}
	if err := table.Configure(slot, Content{Version: Version{Timeout: uint32(len(hosts))}, Entries: entries}); err != nil {
		t.Fatal(err)
	}
}

var errChanged = errors.New("changed my mind")

func TestAJointEditThatFailsLeavesWhatPacketsGoBy(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		table := populated(t, 5)
		before := settled(table)
		slots := r.Perm(5)
		err := table.Together(func() error {
			for _, slot := range slots[:1+r.IntN(5)] {
				reshape(t, table, slot, []byte{2, 3, byte(r.IntN(200)) + 4}, 7070)
			}
			return errChanged
		})
		if !errors.Is(err, errChanged) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		// A slot that was free may have been written: nothing names it.
		for i := range table.dsts.elems {
			if !table.prepared().dsts[i] {
				table.dsts.elems[i] = Dst{}
			}
		}
		if after := settled(table); !reflect.DeepEqual(after, before) {
			t.Fatalf("seed %d: was\n%v\nis\n%v", seed, before, after)
		}
		if table.Settings().Dirty != 0 {
			t.Fatalf("seed %d: the table is still marked as being edited", seed)
		}
	}
}

func TestNothingOfAJointEditIsInForceBeforeItsEnd(t *testing.T) {
	table := populated(t, 3)
	words := func() (all [3]uint64) {
		for i := range all {
			all[i] = table.services.elems[i].Version
		}
		return all
	}
	before := words()
	err := table.Together(func() error {
		for slot := range 3 {
			reshape(t, table, slot, []byte{1, 9}, 7070)
			if words() != before || table.Dst(uint32(firstDst)).TunnelPort != 6080 || table.Settings().Dirty == 0 {
				t.Errorf("after service %d something is in force, or the mark is gone", slot)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range table.Services() {
		if l.Version.Timeout != 2 || len(l.Entries) != 2 || l.Entries[1].Weight != 9 || table.Dst(l.Entries[0].Dst).TunnelPort != 7070 {
			t.Errorf("service %d is %+v", i, l)
		}
		if gone := table.Dst(1).Flags & dstAvailable; i == 0 && gone != 0 {
			t.Error("a destination that went still takes packets")
		}
	}
	occupied(t, table)
}
