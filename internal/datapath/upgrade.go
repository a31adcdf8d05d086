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

/*
A table gets other programs in four steps, none of which a packet notices.

 1. The programs are loaded and pinned aside, in the directory that a new table would
    be built in. As long as records and sizes stay as they are, they are loaded onto
    the maps of the table, each of which then has a pin in both directories.
 2. Each interface gets the new program in the place of the old by one update of its
    link, and the timer the new code. A packet meets one or the other, and both see
    the same table: nothing has to be copied, and nothing can be missed.
 3. The two directories change places by one rename.
 4. What is aside now, the old programs, is removed.

Whoever is killed in between leaves a table that is whole: each of its links is pinned
in the directory of the table at every moment, as those aside are pins of the same
links. What is aside is removed by the next edit.
*/

// Upgrade gives the table of this namespace the programs of this program, or fails
// with ErrNoTable.
func (e *Editor) Upgrade(ctx context.Context) error {
	return e.locked(ctx, func(p place) error {
		if !exists(p.table()) {
			return errors.Join(ErrNoTable, p.leave()) // the lock made it
		}
		if err := errors.Join(e.Close(), heal(p)); err != nil {
			return err
		}
		layout, err := layoutOf(p.table())
		if err != nil {
			return err
		}
		if layout != abiVersion {
			return fmt.Errorf("%w (its layout is %d, this program's %d)", ErrLayout, layout, abiVersion)
		}
		if err := p.renew(); err != nil {
			return errors.Join(err, heal(p))
		}
		return heal(p)
	})
}

// heal removes what is built aside, or was left by an upgrade.
func heal(p place) error { return removePins(p.building()) }

// renew loads this program's data path onto the maps of the table, and puts it in the
// place of the programs that are there.
func (p place) renew() error {
	c, err := readConf(p.table())
	if err != nil {
		return err
	}
	specs, err := loadSpecs(c)
	if err != nil {
		return err
	}
	if err := found(p.building()); err != nil {
		return err
	}
	known, err := openMaps(p.table(), specs)
	if err != nil {
		return err
	}
	if err := pinAll(specs, known, p.building()); err != nil {
		return err
	}
	if err := signGeneration(p.building()); err != nil {
		return err
	}
	if err := startTimer(p.building()); err != nil {
		return err
	}
	return p.takeOver()
}

// ownMaps are those that each set of programs has for itself.
var ownMaps = []string{controlMapGenerationMap}

// openMaps opens the maps pinned in dir that the collections use.
func openMaps(dir string, specs []*ebpf.CollectionSpec) (map[string]*ebpf.Map, error) {
	known := map[string]*ebpf.Map{}
	for _, spec := range specs {
		for name, m := range spec.Maps {
			if known[name] != nil || !isShared(name, m) || slices.Contains(ownMaps, name) {
				continue
			}
			opened, err := openUnpinned(filepath.Join(dir, name))
			if errors.Is(err, os.ErrNotExist) {
				continue // new with these programs
			}
			if err != nil {
				closeAll(known)
				return nil, fmt.Errorf("pinned map %s: %w", name, err)
			}
			known[name] = opened
		}
	}
	return known, nil
}

// openUnpinned opens a pinned map as one that may be pinned once more.
func openUnpinned(path string) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return m.Clone()
}

// takeOver gives the interfaces the programs that are aside, and makes what is aside
// the table.
func (p place) takeOver() error {
	if err := tableAttacher(p.building()).succeed(tableAttacher(p.table())); err != nil {
		return err
	}
	if err := unix.Renameat2(unix.AT_FDCWD, p.building(), unix.AT_FDCWD, p.table(), unix.RENAME_EXCHANGE); err != nil {
		return fmt.Errorf("publish the table: %w", err)
	}
	return nil
}
