package datapath_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
)

// pinned opens a map of the bed's table.
func pinned(t *testing.T, b *bed.Bed, name string) *ebpf.Map {
	t.Helper()
	dir, err := b.Pins()
	if err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, name), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestTheNextWriterPutsInOrderWhatAKilledOneLeft(t *testing.T) {
	b := bed.New(t, ipvs.AttachTC)
	for _, argv := range [][]string{
		{"-A", "-t", "198.51.100.129:80", "-s", "rr"},
		{"-a", "-t", "198.51.100.129:80", "-r", "203.0.113.1:8080", "-m"},
		{"-a", "-t", "198.51.100.129:80", "-r", "203.0.113.2:8080", "-m"},
		{"-d", "-t", "198.51.100.129:80", "-r", "203.0.113.2:8080"},
	} {
		if _, stderr, exit := b.Ipvsadm(argv...); exit != 0 {
			t.Fatalf("ipvsadm %q: %s", argv, stderr)
		}
	}
	before, _, _ := b.Ipvsadm("-Ln")

	// A writer killed at the worst moment: the index names a service that is
	// not there and misses the one that is, a destination in use is marked as
	// gone, a removed one as there.
	index, dsts := pinned(t, b, "service_index"), pinned(t, b, "dsts")
	var id datapath.ServiceID
	var slot uint32
	if !index.Iterate().Next(&id, &slot) {
		t.Fatal("the index is empty")
	}
	stray := id
	stray.Port = 1
	if err := errors.Join(index.Delete(id), index.Put(stray, slot)); err != nil {
		t.Fatal(err)
	}
	flip(t, dsts)
	editor := &datapath.Editor{}
	defer editor.Close()
	if err := editor.Edit(context.Background(), func(table *datapath.Table) error {
		table.Settings().Dirty = 1
		return nil
	}); err != nil {
		t.Fatal(err)
	}

	err := editor.Edit(context.Background(), func(table *datapath.Table) error {
		if _, ok := table.Find(id); !ok {
			t.Error("the service is not found")
		}
		if _, ok := table.Find(stray); ok {
			t.Error("a service is found that is not there")
		}
		if table.Settings().Dirty != 0 {
			t.Error("the table is marked as being edited still")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := available(t, dsts); !got[0] || got[1] {
		t.Errorf("the destinations are available: %v, want the first alone", got)
	}
	if after, _, _ := b.Ipvsadm("-Ln"); after != before {
		t.Errorf("the table was\n%s\nand is\n%s", before, after)
	}
}

// firstDst is the first slot that is a server's.
const firstDst = 2

// flip turns around which of the first two destinations is available.
func flip(t *testing.T, dsts *ebpf.Map) {
	t.Helper()
	for i := range uint32(2) {
		var d datapath.Dst
		if err := dsts.Lookup(firstDst+i, &d); err != nil {
			t.Fatal(err)
		}
		d.Flags ^= 1
		if err := dsts.Put(firstDst+i, d); err != nil {
			t.Fatal(err)
		}
	}
}

func available(t *testing.T, dsts *ebpf.Map) (all [2]bool) {
	t.Helper()
	for i := range all {
		var d datapath.Dst
		if err := dsts.Lookup(uint32(firstDst+i), &d); err != nil {
			t.Fatal(err)
		}
		all[i] = d.Flags&1 != 0
	}
	return all
}

func TestAnUneditedTableIsTakenAsItIs(t *testing.T) {
	b := bed.New(t, ipvs.AttachTC)
	if _, stderr, exit := b.Ipvsadm("-A", "-t", "198.51.100.129:80"); exit != 0 {
		t.Fatal(stderr)
	}
	index := pinned(t, b, "service_index")
	stray := datapath.ServiceID{Port: 1, Family: datapath.FamilyV4, Proto: 6}
	if err := index.Put(stray, uint32(0)); err != nil {
		t.Fatal(err)
	}
	editor := &datapath.Editor{}
	defer editor.Close()
	if err := editor.Edit(context.Background(), func(*datapath.Table) error { return nil }); err != nil {
		t.Fatal(err)
	}
	var slot uint32
	if err := index.Lookup(stray, &slot); err != nil {
		t.Errorf("an edit looked over the index although no writer had died: %v", err)
	}
}
