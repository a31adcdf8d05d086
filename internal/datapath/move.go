package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

/*
How connections move to another table while packets flow. There are two sets of
programs, the old and the new, each with a table of connections of its own; of the other
maps they have the same where the shape of the records is the same, and a copy else.

 1. Carry. Every connection is read from the old table and born in the new one. The old
    programs do not notice. If there is no room for all, that is the end of it.
 2. Retire. The old programs are told that others follow (bpf/retire.h): from then on
    they serve the connections they know, make none, and hand over to the new programs,
    by a tail call, whoever belongs to none. When all CPUs have left what they ran
    before, the connections of the old table are a set that only shrinks.
 3. Carry again what was born, has changed or ended since 1.
 4. Take over. Each interface gets the new program, by one update of its link.
 5. When all CPUs have left the old programs, carry once more the lives that were
    stepped between 3 and 4, where no packet has stepped them in the new table. Then
    the timer of the new table starts, the directories change places, and the old
    programs and their table are removed.

Why no packet misses its connection. Of one that was born before 2 is over: until the
interface is given the new program, the old one meets the packet and finds it where it
always was; from then on the new one finds what 1 or 3 have carried, as 4 begins after 3
is complete and births in the old table had ended before 3 began. Of one that is born
after: the old program has none and hands the packet over before it has changed
anything, so from its first packet on the connection is one of the new table, and it is
found there by way of the hand-over or, after 4, at once. Both directions are met alike,
so it is of no matter that interfaces follow one after the other.

Why no count is wrong. Destinations are counted for each table by itself, by the code
that counts births and ends, whether of packets or of what is carried; so the counts of
the new table are those of the connections in it. What both share, they share.

While 4 is under way, the packets of a connection may step it in both tables, each by
what that one sees; 5 leaves it to the new one then, as the packets to come do. So the
state of a connection that was in the midst of its end may lag behind by a step, until
its timeout.

Programs that were made before they could retire are left out of 2. Then a connection that
is born between 3 and 4 is carried by 5, and its packets in between are lost.

Whoever is killed before 2 has changed nothing. From 2 on both sets serve, for as long as
it may be; the next edit goes on by what the links show: with 3 unless all interfaces
have the new programs, and then with the end of 5.
*/

// movingMark is in the directory aside from 2 on: there is no way back.
const movingMark = "moving"

func (p place) moving() string { return filepath.Join(p.building(), movingMark) }

// canRetire reports whether the programs pinned in dir know how to.
func canRetire(dir string) bool {
	return exists(filepath.Join(dir, tcMapFollowersTc)) && exists(filepath.Join(dir, xdpMapFollowersXdp))
}

// move loads the collections onto maps of their own and carries the connections there.
func (p place) move(was, now conf, specs []*ebpf.CollectionSpec) error {
	if err := found(p.building()); err != nil {
		return err
	}
	h, err := inherit(p.table(), specs)
	if err != nil {
		return err
	}
	if err := pinAll(specs, h.shared, p.building()); err != nil {
		return err
	}
	if err := p.bequeath(h.copied, specs); err != nil {
		return err
	}
	r, err := newCarrier(p.table(), p.building(), was)
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.pass(); err != nil {
		return err
	}
	if r.refused > 0 {
		return fmt.Errorf("%w: it would not hold %d of %d connections; make it larger than %d", ErrFull, r.refused, r.carried, now.Buckets4*uint32(slotsPerBucket))
	}
	// what the data path wrote meanwhile to what is copied and not counted anew
	if err := p.bequeath(slices.DeleteFunc(h.copied, isCountedAnew), specs); err != nil {
		return err
	}
	if err := os.Mkdir(p.moving(), 0o700); err != nil {
		return fmt.Errorf("mark of a move: %w", err)
	}
	return p.finish(r)
}

// isCountedAnew tells what begins as a copy and goes its own way from there.
func isCountedAnew(name string) bool { return inheritances[name] == copied }

// bequeath copies maps of the table to those aside.
func (p place) bequeath(names []string, specs []*ebpf.CollectionSpec) error {
	all := declared(specs)
	for _, name := range names {
		if err := copyMap(p.building(), p.table(), name, all[name]); err != nil {
			return err
		}
		var begin map[string]uint64
		switch name {
		case controlMapDsts:
			begin = map[string]uint64{"active": 0, "inactive": 0, "persistent": 0}
		case controlMapSettingsMap:
			layout, err := layoutNumber(specs[0])
			if err != nil {
				return err
			}
			begin = map[string]uint64{"abi": uint64(layout), "dirty": 0, "retired": 0}
			if err := defaultNew(p.building(), p.table(), all[name]); err != nil {
				return err
			}
		}
		if err := setFields(p.building(), name, all[name], begin); err != nil {
			return err
		}
	}
	return signGeneration(p.building())
}

// setFields writes numbers to fields of all records of an array pinned in dir.
func setFields(dir, name string, spec *ebpf.MapSpec, values map[string]uint64) error {
	if len(values) == 0 {
		return nil
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, name), nil)
	if err != nil {
		return fmt.Errorf("pinned map %s: %w", name, err)
	}
	defer m.Close()
	records, err := mapBytes(m)
	if err != nil {
		return err
	}
	defer records.close()
	for field, value := range values {
		f, ok := fieldOf(spec.Value, field)
		if !ok {
			return fmt.Errorf("map %s: no field %s: %w", name, field, ErrLayout)
		}
		for i := range records.n {
			f.set(records.elem(i), value)
		}
	}
	return nil
}

// finish makes the move from step 2 on.
func (p place) finish(r *carrier) error {
	old, now := tableAttacher(p.table()), tableAttacher(p.building())
	retires := canRetire(p.table())
	if retires {
		if err := retire(p.table(), p.building()); err != nil {
			return err
		}
	}
	taken, err := now.hasTaken(old)
	if err != nil {
		return err
	}
	if !taken {
		if err := r.pass(); err != nil {
			return err
		}
		if err := now.succeed(old); err != nil {
			return err
		}
		leaveOld()
		r.settled = retires
		if err := r.pass(); err != nil {
			return err
		}
	}
	if err := errors.Join(carryCounters(p.table(), p.building()), startTimer(p.building())); err != nil {
		return err
	}
	if err := p.exchange(); err != nil {
		return err
	}
	return p.arrived()
}

// arrived takes the mark of a move away, if it is there.
func (p place) arrived() error {
	err := os.Remove(filepath.Join(p.table(), movingMark))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// resume goes on with a move whose command was killed.
func (p place) resume() error {
	layout, err := layoutOf(p.building())
	if err != nil {
		return err
	}
	if layout != abiVersion {
		return fmt.Errorf("%w: an upgrade to layout %d was cut short: run `evs upgrade` of that version again", ErrLayout, layout)
	}
	c, err := readConf(p.table())
	if err != nil {
		return err
	}
	r, err := newCarrier(p.table(), p.building(), c)
	if err != nil {
		return err
	}
	defer r.close()
	return p.finish(r)
}

// retire has the programs pinned in old make no connections any more, and hand those
// over that are not theirs to the programs pinned in now. It returns when no CPU is at
// anything that began before.
func retire(old, now string) error {
	for _, f := range []struct {
		program, followers string
		place              uint32
	}{
		{tcProgEvsTc, tcMapFollowersTc, uint32(tcFollowerFOLLOWER_IN)},
		{tcProgEvsTcOut, tcMapFollowersTc, uint32(tcFollowerFOLLOWER_OUT)},
		{xdpProgEvsXdp, xdpMapFollowersXdp, uint32(tcFollowerFOLLOWER_IN)},
	} {
		if err := follow(filepath.Join(old, f.followers), f.place, filepath.Join(now, f.program)); err != nil {
			return fmt.Errorf("program %s: %w", f.program, err)
		}
	}
	if err := setRetired(old); err != nil {
		return err
	}
	leaveOld()
	return nil
}

// follow enters a program among those that follow others.
func follow(followers string, place uint32, program string) error {
	m, err := ebpf.LoadPinnedMap(followers, nil)
	if err != nil {
		return err
	}
	defer m.Close()
	p, err := ebpf.LoadPinnedProgram(program, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	return m.Put(place, p)
}

// setRetired says in the settings of a table, of whatever layout, that others follow.
func setRetired(dir string) error {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, controlMapSettingsMap), nil)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	defer m.Close()
	types, err := typesOf(m)
	if err != nil {
		return err
	}
	own, err := loadControl()
	if err != nil {
		return fmt.Errorf("compiled data path: %w", err)
	}
	retired, ok := fieldOf(recordOf(types, own.Maps[controlMapSettingsMap].Value), "retired")
	if !ok {
		return fmt.Errorf("settings: %w", ErrLayout)
	}
	settings, err := mapBytes(m)
	if err != nil {
		return err
	}
	defer settings.close()
	atomic.StoreUint32(as[uint32](&settings.elem(0)[retired.at]), 1)
	return nil
}

// leaveOld returns when every CPU has left what it ran at the time of the call: programs
// run within what the kernel waits for here.
func leaveOld() {
	const global = 1 // MEMBARRIER_CMD_GLOBAL
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); errno != 0 {
		time.Sleep(time.Second) // it does not where CPUs have no timer tick: long enough
	}
}

// carryCounters adds what the old programs counted to what the new ones do, once.
func carryCounters(old, now string) error {
	from, err := ebpf.LoadPinnedMap(filepath.Join(old, controlMapCountersMap), nil)
	if err != nil {
		return fmt.Errorf("counters: %w", err)
	}
	defer from.Close()
	var rows [][]byte
	if err := from.Lookup(uint32(0), &rows); err != nil {
		return fmt.Errorf("counters: %w", err)
	}
	sums, err := mapArray[controlCounters](now, controlMapCarriedCounters)
	if err != nil {
		return err
	}
	defer sums.close()
	sums.elems[0] = controlCounters{}
	for _, row := range rows {
		for i := range sums.elems[0].Count {
			if at := 8 * i; at+8 <= len(row) {
				sums.elems[0].Count[i] += readNumber(row[at : at+8])
			}
		}
	}
	add, err := ebpf.LoadPinnedProgram(filepath.Join(now, controlProgEvsCarryCounters), nil)
	if err != nil {
		return fmt.Errorf("counters: %w", err)
	}
	defer add.Close()
	if code, _, err := add.Test(make([]byte, 64)); err != nil || code != 0 {
		return fmt.Errorf("counters: code %d: %w", code, err)
	}
	for i := range rows {
		clear(rows[i])
	}
	return from.Put(uint32(0), rows)
}
