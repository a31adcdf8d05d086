package datapath

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Maps that a wiped table keeps: what is known of the interfaces it is attached to,
// the beacon, and what holds timers and locks, which nobody writes.
var wipeKeeps = []string{
	beaconName, controlMapAttachModes, controlMapXdpPorts, controlMapXdpPlaces, controlMapLinkAddrs, controlMapOwnAddrs,
	controlMapTickers, controlMapBirthLocks, controlMapClocks,
}

// Wipe empties the table of this namespace of all it holds, connections and counters
// too, as if it had just been made; it stays attached. Tests that need an empty table
// over and over have one sooner than by loading the programs again. Tables that are
// open meanwhile are to be opened again.
func (e *Editor) Wipe(ctx context.Context) error {
	return e.EditExisting(ctx, func(t *Table) error {
		mode := t.Settings().Mode
		dir := t.place.table()
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("pins: %w", err)
		}
		for _, entry := range entries {
			m, err := ebpf.LoadPinnedMap(filepath.Join(dir, entry.Name()), nil)
			if err != nil {
				continue // a program, or the directory of links
			}
			if !slices.Contains(wipeKeeps, entry.Name()) {
				err = wipeMap(m)
			}
			if err = errors.Join(err, m.Close()); err != nil {
				return fmt.Errorf("wipe %s: %w", entry.Name(), err)
			}
		}
		t.plan = nil
		t.Settings().setDefaults()
		t.Settings().Mode = mode
		return t.Defend() // the timer may have judged meanwhile by what was
	})
}

func wipeMap(m *ebpf.Map) error {
	switch m.Type() {
	case ebpf.Array:
		if m.Flags()&unix.BPF_F_MMAPABLE == 0 {
			return putAll(m, make([]byte, m.ValueSize()))
		}
		bytes, err := unix.Mmap(m.FD(), 0, memorySizeOf(m), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		clear(bytes)
		return unix.Munmap(bytes)
	case ebpf.PerCPUArray:
		cpus, err := ebpf.PossibleCPU()
		if err != nil {
			return err
		}
		zeros := make([][]byte, cpus)
		for i := range zeros {
			zeros[i] = make([]byte, m.ValueSize())
		}
		return putAll(m, zeros)
	case ebpf.ProgramArray: // who follows these programs, which nobody does meanwhile
		return nil
	}
	for {
		key, err := m.NextKeyBytes(nil)
		if err != nil || key == nil {
			return err
		}
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
}

// putAll gives every element of an array the same value.
func putAll(m *ebpf.Map, value any) error {
	for i := range m.MaxEntries() {
		if err := m.Put(i, value); err != nil {
			return err
		}
	}
	return nil
}
