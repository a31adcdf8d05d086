package datapath

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Errors that callers branch on.
var (
	// ErrNoTable means that this network namespace has no table yet.
	ErrNoTable = errors.New("no table in this network namespace")
	// ErrLayout means that the pinned table was made by a program with other
	// records.
	ErrLayout = errors.New("the table was made by another version of evs: run `evs upgrade` to bring it to this one")
	// ErrPermission means that the process may not use BPF.
	ErrPermission = errors.New("permission denied: run as root (CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN are needed)")
	// ErrUnsupported means that the kernel lacks what EVS needs.
	ErrUnsupported = errors.New("EVS needs Linux 6.1 or newer with BPF")
)

// Sizes of a new table.
type Sizes struct {
	// Conns is the number of connections the table has room for, of IPv4 and
	// as many of IPv6. Its slots are an eighth more, rounded up to a power of
	// two; a slot takes 32 bytes for IPv4 and 64 for IPv6, and the overflow
	// region a sixteenth on top. At most a quarter of the slots hold half-open
	// connections. 0: chosen by memory, of IPv6 half as many.
	Conns int
	// Dsts is the number of destinations; 0: chosen by memory.
	Dsts int
}

const (
	slotsPerBucket  = len(controlBucket4{}.Slot)
	minBuckets      = 1 << 12
	maxBuckets      = 1 << 26
	defaultBuckets  = 1 << 18 // some 900 thousand connections, 36 MiB
	slack           = 8       // one slot in so many is to spare, as buckets fill unevenly
	minOverflow     = 1 << 8
	overflowPart    = 16  // one overflow bucket for so many buckets
	connsPart       = 64  // connections take at most this part of memory by default
	dstsPart        = 256 // and destinations this
	minDsts         = 1 << 13
	minUnits        = 1 << 17 // 4 MiB: room for the tables of hundreds of services that hash
	beaconName      = "beacon"
	linksDir        = "links"
	loopbackIfindex = 1
)

// buckets returns how many buckets a table of these sizes has.
func (s Sizes) buckets(memory uint64) int {
	if s.Conns > 0 {
		slots := s.Conns + s.Conns/(slack-1)
		want := (slots + slotsPerBucket - 1) / slotsPerBucket
		return min(maxBuckets, max(minBuckets, 1<<bits.Len(uint(want-1))))
	}
	n := defaultBuckets
	for n > minBuckets && uint64(n)*uint64(slotsPerBucket)*32 > memory/connsPart {
		n /= 2
	}
	return n
}

// halfOpenPlaces returns how many half-open connections a table of so many buckets
// has room for: a quarter of its slots, of eight bytes more each.
func halfOpenPlaces(buckets int) int { return buckets }

// dsts returns how many destinations a table of these sizes has, ceiling at
// most. Each has a row of counters for every CPU.
func (s Sizes) dsts(memory uint64, cpus, ceiling, unitsPerDst int) int {
	if s.Dsts > 0 {
		return min(ceiling, s.Dsts)
	}
	each := uint64(unsafe.Sizeof(Dst{})+unsafe.Sizeof(DstConf{})+unsafe.Sizeof(Estimator{})) + uint64(unitsPerDst)*uint64(unsafe.Sizeof(Entry{})) +
		uint64(cpus)*uint64(unsafe.Sizeof(Stats{}))
	n := ceiling
	for n > minDsts && uint64(n)*each > memory/dstsPart {
		n /= 2
	}
	return n
}

func memorySize() uint64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return info.Totalram * uint64(info.Unit)
}

// checkHost says in one sentence what keeps EVS from running here.
func checkHost() error {
	if os.Geteuid() != 0 {
		return ErrPermission
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Errorf("kernel release: %w", err)
	}
	release := unix.ByteSliceToString(name.Release[:])
	if !releaseSupported(release) {
		return fmt.Errorf("%w: this is Linux %s", ErrUnsupported, release)
	}
	return nil
}

// releaseSupported reports whether a kernel release is 6.1 or newer.
func releaseSupported(release string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return true // let the kernel itself refuse
	}
	return major > 6 || major == 6 && minor >= 1
}

// build makes the maps and programs of a new table and pins them under dir.
// What it leaves behind on failure is the caller's to remove.
func build(dir string, sizes Sizes) error {
	if err := found(dir); err != nil {
		return err
	}
	c, err := newConf(sizes)
	if err != nil {
		return err
	}
	specs, err := loadSpecs(c)
	if err != nil {
		return err
	}
	if err := pinAll(specs, nil, dir); err != nil {
		return err
	}
	return initialise(dir)
}

// found makes a directory of pins. The beacon comes first: it tells whose the
// directory is.
func found(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, linksDir), 0o700); err != nil {
		return fmt.Errorf("directory of pins: %w", err)
	}
	return pinBeacon(dir)
}

// pinAll loads the collections, onto the maps that are known and others made for
// them, and pins their programs and maps in dir.
func pinAll(specs []*ebpf.CollectionSpec, known map[string]*ebpf.Map, dir string) error {
	maps, err := loadAll(specs, known, dir)
	if err != nil {
		return err
	}
	defer closeAll(maps)
	for name, m := range maps {
		if err := m.Pin(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("pin map %s: %w", name, err)
		}
	}
	return nil
}

// pinBeacon pins a device map that holds the namespace's loopback interface.
// The kernel takes the entry out when the interface goes, which for loopback is
// when the namespace dies; so anybody can see later whether it lives.
func pinBeacon(dir string) error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "evs_beacon", Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return loadError("beacon", err)
	}
	defer m.Close()
	if err := m.Put(uint32(0), uint32(loopbackIfindex)); err != nil {
		return fmt.Errorf("beacon: %w", err)
	}
	return m.Pin(filepath.Join(dir, beaconName))
}

// alive reports whether the namespace of the table pinned in dir still exists.
func alive(dir string) bool {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, beaconName), nil)
	if err != nil {
		return false
	}
	defer m.Close()
	var ifindex uint32
	return !errors.Is(m.Lookup(uint32(0), &ifindex), ebpf.ErrKeyNotExist)
}

func measureTickRate() (uint32, error) {
	spec, err := loadControl()
	if err != nil {
		return 0, fmt.Errorf("clock program: %w", err)
	}
	var objs struct {
		Clock  *ebpf.Program `ebpf:"evs_clock"`
		Clocks *ebpf.Map     `ebpf:"clocks"`
	}
	if err := spec.LoadAndAssign(&objs, nil); err != nil {
		return 0, loadError("clock program", err)
	}
	defer objs.Clock.Close()
	defer objs.Clocks.Close()
	return tickRate(func() (reading, error) { return readClock(objs.Clock, objs.Clocks) })
}

// loadError adds to the kernel's refusal what a person can do about it.
func loadError(what string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES) && os.Geteuid() != 0:
		return fmt.Errorf("%s: %w: %w", what, ErrPermission, err)
	case errors.Is(err, unix.ENOSYS), errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("%s: %w: %w", what, ErrUnsupported, err)
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.E2BIG):
		return fmt.Errorf("%s: not enough memory for a table of this size: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// initialise writes the settings of a table with nothing in it and starts its
// timer.
func initialise(dir string) error {
	settings, err := mapArray[Settings](dir, controlMapSettingsMap)
	if err != nil {
		return err
	}
	defer settings.close()
	settings.elems[0].setDefaults()
	if err := signGeneration(dir); err != nil {
		return err
	}
	return startTimer(dir)
}

// setDefaults makes settings those of a table with nothing in it.
func (s *Settings) setDefaults() {
	s.Abi = abiVersion
	copy(s.Timeout[:], defaultTimeouts[:])
	for _, row := range Sysctls {
		row.Set(s, row.Default)
	}
}

func startTimer(dir string) error {
	start, err := ebpf.LoadPinnedProgram(filepath.Join(dir, controlProgEvsStart), nil)
	if err != nil {
		return fmt.Errorf("timer: %w", err)
	}
	defer start.Close()
	// The kernel allocates the timer without waiting for memory, and so may
	// fail once where the next attempt succeeds.
	const attempts, pause = 20, 5 * time.Millisecond
	for range attempts {
		code, _, err := start.Test(make([]byte, 64))
		switch {
		case err != nil:
			return fmt.Errorf("timer did not start: %w", err)
		case code == 0:
			return nil
		}
		time.Sleep(pause)
	}
	return errors.New("timer did not start: the kernel had no memory for it; try again")
}

// create makes this namespace's table unless it is there. The caller holds the
// lock. A table is whole or not there: it is built aside and renamed.
func create(_ context.Context, p place, sizes Sizes) (made bool, err error) {
	if exists(p.table()) {
		return false, nil
	}
	if err := checkHost(); err != nil {
		return false, err
	}
	if err := removePins(p.building()); err != nil { // of a creation that was killed
		return false, err
	}
	if err := build(p.building(), sizes); err != nil {
		return false, errors.Join(err, removePins(p.building()))
	}
	if err := os.Rename(p.building(), p.table()); err != nil {
		return false, errors.Join(fmt.Errorf("publish the table: %w", err), removePins(p.building()))
	}
	return true, nil
}

// removePins removes a tree of pins. Unpinning a link detaches its program,
// unpinning the last name of a map frees it.
func removePins(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove pins: %w", err)
	}
	return nil
}
