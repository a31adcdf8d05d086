package datapath

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

/*
A table gets other programs, and if need be other maps, without a packet noticing.

As long as records and sizes stay as they are:

 1. The programs are loaded and pinned aside, in the directory that a new table would
    be built in, onto the maps of the table, each of which then has a pin in both.
 2. Each interface gets the new program in the place of the old by one update of its
    link, and the timer the new code. A packet meets one or the other, and both see
    the same table: nothing has to be copied, and nothing can be missed.
 3. The two directories change places by one rename.
 4. What is aside now, the old programs, is removed.

Where the size of the table or the shape of its records changes, the new programs are
loaded onto maps of their own, as far as they cannot have the same; and between 1 and 2
connections are carried over, see move.go.

Whoever is killed in between leaves a table that is whole: each of its links is pinned
in the directory of the table at every moment, as those aside are pins of the same
links. What is aside is removed by the next edit, or, if connections were on the move,
made to be the table.
*/

// Upgrade gives the table of this namespace the programs of this program, or fails
// with ErrNoTable.
func (e *Editor) Upgrade(ctx context.Context) error {
	return e.replace(ctx, func(c *conf) {})
}

// Resize makes room for another number of connections in the table of this namespace,
// or fails with ErrNoTable; it has the programs of this program then. It fails with
// ErrFull, and nothing has changed, if the connections that there are do not fit in.
func (e *Editor) Resize(ctx context.Context, sizes Sizes) error {
	return e.replace(ctx, func(c *conf) { c.size(sizes) })
}

// replace gives the table other programs, with other facts.
func (e *Editor) replace(ctx context.Context, change func(*conf)) error {
	return e.locked(ctx, func(p place) error {
		if !exists(p.table()) {
			return errors.Join(ErrNoTable, p.leave()) // the lock made it
		}
		if err := errors.Join(e.Close(), heal(p)); err != nil {
			return err
		}
		was, err := readConf(p.table())
		if err != nil {
			return err
		}
		now := was
		change(&now)
		return errors.Join(p.renew(was, now), heal(p))
	})
}

// heal puts away what an upgrade or a creation left aside, and brings to its end what
// has gone too far to be taken back.
func heal(p place) error {
	if exists(p.moving()) {
		if err := p.resume(); err != nil {
			return err
		}
	}
	return errors.Join(removePins(p.building()), p.arrived())
}

// renew loads this program's data path for the table, and puts it in the place of the
// programs that are there.
func (p place) renew(was, now conf) error {
	specs, err := loadSpecs(now)
	if err != nil {
		return err
	}
	same, err := p.keeps(specs)
	if err != nil {
		return err
	}
	if same {
		return p.renewPrograms(specs)
	}
	return p.move(was, now, specs)
}

// keeps reports whether the collections can be loaded onto the maps of the table.
func (p place) keeps(specs []*ebpf.CollectionSpec) (bool, error) {
	layout, err := layoutOf(p.table())
	if err != nil {
		return false, err
	}
	own, err := layoutNumber(specs[0])
	if err != nil || own != layout {
		return false, err
	}
	for name, spec := range declared(specs) {
		m, err := ebpf.LoadPinnedMap(filepath.Join(p.table(), name), nil)
		if errors.Is(err, os.ErrNotExist) {
			continue // new with these programs
		}
		if err != nil {
			return false, fmt.Errorf("pinned map %s: %w", name, err)
		}
		same, err := fits(m, spec)
		m.Close()
		if err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// renewPrograms loads the collections onto the maps of the table.
func (p place) renewPrograms(specs []*ebpf.CollectionSpec) error {
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
	err = errors.Join(signGeneration(p.building()),
		defaultNew(p.building(), p.table(), specs[0].Maps[controlMapSettingsMap]))
	if err != nil {
		return err
	}
	if err := startTimer(p.building()); err != nil {
		return err
	}
	if err := tableAttacher(p.building()).succeed(tableAttacher(p.table())); err != nil {
		return err
	}
	return p.exchange()
}

// openMaps opens the maps pinned in dir that the collections use, but for what tells
// one set of programs from another.
func openMaps(dir string, specs []*ebpf.CollectionSpec) (map[string]*ebpf.Map, error) {
	known := map[string]*ebpf.Map{}
	for name := range declared(specs) {
		if name == controlMapGenerationMap {
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

// exchange makes what is aside the table.
func (p place) exchange() error {
	if err := unix.Renameat2(unix.AT_FDCWD, p.building(), unix.AT_FDCWD, p.table(), unix.RENAME_EXCHANGE); err != nil {
		return fmt.Errorf("publish the table: %w", err)
	}
	return nil
}
