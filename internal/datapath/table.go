package datapath

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
)

// Table is the table of the network namespace it was opened in. It is not for
// concurrent use; processes are serialised by Editor.Edit.
type Table struct {
	place    place
	inode    uint64 // of the directory of pins, to notice that it was replaced
	attached time.Time
	filtered time.Time
	stale    bool // the filter has addresses that nothing needs
	orphans  bool // there may be connections whose destination this edit removed
	// filteredFor are the families that had services then.
	filteredFor [2]bool
	settings    array[Settings]
	services    array[Service]
	units       array[controlUnit]
	dsts        array[Dst]
	confs       array[DstConf] // beside dsts
	filter      array[controlFilter]
	stats       array[Stats]
	rates       array[Estimator]
	index       *ebpf.Map // service_index

	hz    uint32 // of the kernel, 0 not known yet
	plan  *plan  // what is used, valid for plan.serial
	depth int    // of begin within begin
	joint *joint // the edit under way, if it is one of several services
}

func openAt(p place) (*Table, error) {
	if !exists(p.table()) {
		return nil, ErrNoTable
	}
	t := &Table{place: p, inode: inode(p.table())}
	err := t.mapAll()
	if err == nil && t.inode == inode(p.table()) {
		return t, nil
	}
	t.Close()
	switch inode(p.table()) {
	case t.inode:
		return nil, err
	case 0: // unloaded meanwhile
		return nil, ErrNoTable
	}
	return openAt(p) // another has taken its place meanwhile
}

func (t *Table) mapAll() (err error) {
	dir := t.place.table()
	if t.settings, err = mapArray[Settings](dir, controlMapSettingsMap); err != nil {
		return err
	}
	if abi := t.settings.elems[0].Abi; abi != abiVersion {
		return fmt.Errorf("%w (its layout is %d, this program's %d)", ErrLayout, abi, abiVersion)
	}
	if t.services, err = mapArray[Service](dir, controlMapServices); err != nil {
		return err
	}
	if t.units, err = mapArray[controlUnit](dir, controlMapUnits); err != nil {
		return err
	}
	if t.dsts, err = mapArray[Dst](dir, controlMapDsts); err != nil {
		return err
	}
	if t.confs, err = mapArray[DstConf](dir, controlMapDstConfs); err != nil {
		return err
	}
	if t.filter, err = mapArray[controlFilter](dir, controlMapFilterMap); err != nil {
		return err
	}
	if t.stats, err = mapArray[Stats](dir, controlMapStatsMap); err != nil {
		return err
	}
	if t.rates, err = mapArray[Estimator](dir, controlMapEstimators); err != nil {
		return err
	}
	t.index, err = ebpf.LoadPinnedMap(filepath.Join(dir, controlMapServiceIndex), nil)
	return err
}

// Close lets go of the table, which stays.
func (t *Table) Close() error {
	t.settings.close()
	t.services.close()
	t.units.close()
	t.dsts.close()
	t.confs.close()
	t.filter.close()
	t.stats.close()
	t.rates.close()
	if t.index != nil {
		return t.index.Close()
	}
	return nil
}

// lockHere takes the lock of this namespace.
func lockHere(ctx context.Context) (place, *lock, error) {
	if os.Geteuid() != 0 {
		return place{}, nil, ErrPermission
	}
	p, err := here()
	if err != nil {
		return place{}, nil, err
	}
	l, err := acquire(ctx, p.dir, lockPatience)
	return p, l, err
}

// Unload removes the table of this namespace: programs, connections, all. It
// reports whether there was one. Remains of dead namespaces go with it.
func Unload(ctx context.Context) (bool, error) {
	p, l, err := lockHere(ctx)
	if err != nil {
		return false, err
	}
	defer l.release()
	had := exists(p.table())
	return had, errors.Join(tableAttacher(p.table()).detach(), removeCutter(),
		removePins(p.table()), removePins(p.building()), p.leave(), removeRemains(p))
}

// removeRemains clears what dead namespaces and killed creations left. What
// another process has locked is in use, and left alone.
func removeRemains(own place) error {
	entries, err := os.ReadDir(own.root)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tables of this machine: %w", err)
	}
	var errs []error
	for _, e := range entries {
		dir := filepath.Join(own.root, e.Name())
		if dir == own.dir {
			continue
		}
		l, err := tryLock(dir)
		if err != nil {
			continue
		}
		if p := (place{root: own.root, dir: dir}); !p.alive() {
			errs = append(errs, removePins(dir))
		}
		l.release()
	}
	return errors.Join(errs...)
}

// Settings returns the table's settings, which may be changed in place within
// Edit.
func (t *Table) Settings() *Settings { return &t.settings.elems[0] }

// ticksPerSecond is how the pinned programs count time.
func (t *Table) clock() (reading, uint32, error) {
	dir := t.place.table()
	program, err := ebpf.LoadPinnedProgram(filepath.Join(dir, controlProgEvsClock), nil)
	if err != nil {
		return reading{}, 0, fmt.Errorf("clock program: %w", err)
	}
	defer program.Close()
	clocks, err := ebpf.LoadPinnedMap(filepath.Join(dir, controlMapClocks), nil)
	if err != nil {
		return reading{}, 0, fmt.Errorf("clock program's answer: %w", err)
	}
	defer clocks.Close()
	read := func() (reading, error) { return readClock(program, clocks) }
	hz, err := tickRate(read)
	if err != nil {
		return reading{}, 0, err
	}
	now, err := read()
	now.Jiffies += uint64(t.Settings().Clock)
	return now, hz, err
}

// Advance puts the clock of the table forward and ends what expires by it: what
// takes minutes can so be tested in no time.
func (t *Table) Advance(by time.Duration) error {
	if t.hz == 0 {
		_, hz, err := t.clock()
		if err != nil {
			return err
		}
		t.hz = hz
	}
	t.Settings().Clock += uint32(by * time.Duration(t.hz) / time.Second)
	return t.sweep()
}

// sweep ends the connections that have to end without waiting for the timer.
func (t *Table) sweep() error { return t.run(controlProgEvsSweep, "sweep") }

// Defend has the defences judged by the settings as they are now (defence.h), which
// else the timer does once a second.
func (t *Table) Defend() error { return t.run(controlProgEvsDefend, "defences") }

// run runs a pinned program that is not about a packet.
func (t *Table) run(name, what string) error {
	program, err := ebpf.LoadPinnedProgram(filepath.Join(t.place.table(), name), nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer program.Close()
	if code, _, err := program.Test(make([]byte, 64)); err != nil || code != 0 {
		return fmt.Errorf("%s: code %d: %w", what, code, err)
	}
	return nil
}

// TimerAge returns how long ago the timer last ran.
func (t *Table) TimerAge() (time.Duration, error) {
	sweep, err := mapArray[Sweep](t.place.table(), controlMapSweepMap)
	if err != nil {
		return 0, err
	}
	defer sweep.close()
	now, hz, err := t.clock()
	if err != nil {
		return 0, err
	}
	ticks := int32(uint32(now.Jiffies) - atomic.LoadUint32(&sweep.elems[0].TickStamp))
	return time.Duration(max(ticks, 0)) * time.Second / time.Duration(hz), nil
}

// Counters returns how often each reason was counted, by its name in lower
// case: "no_destination".
func (t *Table) Counters() (map[string]uint64, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(t.place.table(), controlMapCountersMap), nil)
	if err != nil {
		return nil, fmt.Errorf("counters: %w", err)
	}
	defer m.Close()
	var rows []controlCounters
	if err := m.Lookup(uint32(0), &rows); err != nil {
		return nil, fmt.Errorf("counters: %w", err)
	}
	names, err := ReasonNames()
	if err != nil {
		return nil, err
	}
	counts := make(map[string]uint64, len(names))
	for i, name := range names {
		for _, row := range rows {
			counts[name] += row.Count[i]
		}
	}
	return counts, nil
}
