package datapath

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// Editor reads and edits the table of the calling thread's network namespace.
// It keeps the table open between calls, and notices when it was unloaded or
// made anew. The zero value is ready; it is not for concurrent use.
type Editor struct {
	// Sizes of the table where an edit has to create it.
	Sizes Sizes

	table *Table
}

// attachPause is how long an editor relies on the interfaces it has seen.
const attachPause = time.Second

// Close lets go of the table, which stays.
func (e *Editor) Close() error {
	if e.table == nil {
		return nil
	}
	e.tidy()
	err := e.table.Close()
	e.table = nil
	return err
}

// tidy brings the filter up to date if deletions left that to later and nobody
// else is editing.
func (e *Editor) tidy() {
	if !e.table.stale {
		return
	}
	l, err := tryLock(e.table.place.dir)
	if err != nil {
		return
	}
	defer l.release()
	if e.table.inode == inode(e.table.place.table()) {
		e.table.refilter()
	}
}

// View runs read on the table as it is, or fails with ErrNoTable. It takes no
// lock: what it reads of a service is whole, but two services may be of
// different moments.
func (e *Editor) View(read func(*Table) error) error {
	if os.Geteuid() != 0 {
		return ErrPermission
	}
	p, err := here()
	if err != nil {
		return err
	}
	if e.table == nil {
		if err := removeRemains(p); err != nil {
			return err
		}
	}
	if err := e.open(p); err != nil {
		return err
	}
	return read(e.table)
}

// Edit runs change under the lock of this namespace's table, which is created
// where it is missing; before, every interface is attached as its mode says. If
// something fails for a table that was just created, it is removed again.
func (e *Editor) Edit(ctx context.Context, change func(*Table) error) error {
	return e.locked(ctx, func(p place) error {
		made, err := create(ctx, p, e.Sizes)
		if err != nil {
			return err
		}
		if err = e.change(p, change); err != nil && made {
			return errors.Join(err, tableAttacher(p.table()).detach(), removeCutter(), e.Close(), removePins(p.table()))
		}
		return err
	})
}

// EditExisting is Edit, but fails with ErrNoTable where there is no table.
func (e *Editor) EditExisting(ctx context.Context, change func(*Table) error) error {
	return e.locked(ctx, func(p place) error {
		if !exists(p.table()) {
			return errors.Join(ErrNoTable, removePins(p.building()), p.leave()) // the lock made it
		}
		return e.change(p, change)
	})
}

func (e *Editor) locked(ctx context.Context, run func(place) error) error {
	p, l, err := lockHere(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	if e.table == nil { // once, when the editor comes to the table
		if err := removeRemains(p); err != nil {
			return err
		}
	}
	return run(p)
}

// change brings the table into order and runs change on it.
func (e *Editor) change(p place, change func(*Table) error) error {
	if err := heal(p); err != nil {
		return err
	}
	if err := e.open(p); err != nil {
		return err
	}
	t := e.table
	if err := t.recover(); err != nil {
		return err
	}
	if time.Since(t.attached) > attachPause {
		if err := t.attachAll(nobody); err != nil {
			return err
		}
		t.attached = time.Now()
	}
	told, slept := t.tellsStrays(), t.sleeps()
	err := errors.Join(change(t), t.endOrphans())
	if slept != t.sleeps() {
		t.refilter()
	}
	if told || t.tellsStrays() {
		err = errors.Join(err, t.listMasqPorts())
	}
	return err
}

// open sees to it that e.table is the one pinned at p.
func (e *Editor) open(p place) error {
	if e.table != nil && e.table.place == p && e.table.inode == inode(p.table()) {
		return nil
	}
	if err := e.Close(); err != nil {
		return err
	}
	t, err := openAt(p)
	if err != nil {
		return err
	}
	e.table = t
	return nil
}

// inode returns the inode number of a file, 0 if it is not there.
func inode(path string) uint64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Sys().(*syscall.Stat_t).Ino
}
