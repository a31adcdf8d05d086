package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// inheritance is how a map comes to programs that follow others.
type inheritance int

const (
	// shared: both have the same map, if its shape is the same, else it is copied.
	shared inheritance = iota
	// copied: each has its own, and the new one begins as a copy.
	copied
	// anew: each has its own, and the new one begins empty.
	anew
)

// inheritances are those of the maps that are not shared when connections move to
// another table: what lies in the table or counts it, and what tells the two sets of
// programs apart.
var inheritances = map[string]inheritance{
	controlMapConns4: anew, controlMapConns6: anew, controlMapHalfRing: anew,
	controlMapOverflowHints: anew, controlMapFloods: anew, controlMapSweepMap: anew,
	controlMapDefenceMap: anew, controlMapTickers: anew, controlMapCountersMap: anew,
	controlMapBirthLocks: anew, controlMapGenerationMap: anew,
	controlMapCarries: anew, controlMapCarryings: anew, controlMapCarriedCounters: anew,
	tcMapFollowersTc: anew, xdpMapFollowersXdp: anew,
	controlMapDsts: copied, controlMapSettingsMap: copied,
}

// isAnew reports whether a map whose shape has changed begins empty: what is not in
// the memory of all CPUs alike is scratch.
func isAnew(name string, m *ebpf.MapSpec) bool {
	return inheritances[name] == anew || m.Type == ebpf.PerCPUArray || m.Type == ebpf.ProgramArray
}

// heritage are the maps that programs take over, and those that are made for them.
type heritage struct {
	shared map[string]*ebpf.Map
	copied []string
}

// inherit opens the maps pinned in dir that the collections may share.
func inherit(dir string, specs []*ebpf.CollectionSpec) (h heritage, err error) {
	h.shared = map[string]*ebpf.Map{}
	for name, spec := range declared(specs) {
		m, err := openUnpinned(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // new with these programs
		}
		if err != nil {
			closeAll(h.shared)
			return h, fmt.Errorf("pinned map %s: %w", name, err)
		}
		same, err := fits(m, spec)
		if err != nil {
			m.Close()
			closeAll(h.shared)
			return h, fmt.Errorf("pinned map %s: %w", name, err)
		}
		if same && inheritances[name] == shared {
			h.shared[name] = m
			continue
		}
		m.Close()
		if !isAnew(name, spec) {
			h.copied = append(h.copied, name)
		}
	}
	slices.Sort(h.copied)
	return h, nil
}

// declared are the maps of the collections by name.
func declared(specs []*ebpf.CollectionSpec) map[string]*ebpf.MapSpec {
	all := map[string]*ebpf.MapSpec{}
	for _, spec := range specs {
		for name, m := range spec.Maps {
			if isShared(name, m) {
				all[name] = m
			}
		}
	}
	return all
}

// copyMap copies what a map pinned in old says to that in the place of it in now.
func copyMap(now, old, name string, spec *ebpf.MapSpec) error {
	from, err := ebpf.LoadPinnedMap(filepath.Join(old, name), nil)
	if err != nil {
		return fmt.Errorf("pinned map %s: %w", name, err)
	}
	defer from.Close()
	to, err := ebpf.LoadPinnedMap(filepath.Join(now, name), nil)
	if err != nil {
		return fmt.Errorf("pinned map %s: %w", name, err)
	}
	defer to.Close()
	types, err := typesOf(from)
	if err != nil {
		return fmt.Errorf("map %s: %w", name, err)
	}
	key, value := recordOf(types, spec.Key), recordOf(types, spec.Value)
	if value == nil || key == nil {
		return fmt.Errorf("map %s: its records were other ones: %w", name, ErrLayout)
	}
	if from.Type() == ebpf.Array && to.Type() == ebpf.Array {
		var kinds map[int]string
		if name == controlMapUnits {
			if kinds, err = unitKinds(old, from, value); err != nil {
				return err
			}
		}
		return copyArray(to, from, spec.Value, value, kinds)
	}
	it := from.Iterate()
	var k, v []byte
	for it.Next(&k, &v) {
		nk, nv := make([]byte, to.KeySize()), make([]byte, to.ValueSize())
		translate(nk, k, spec.Key, key)
		translate(nv, v, spec.Value, value)
		if err := to.Put(nk, nv); err != nil {
			return fmt.Errorf("map %s: %w", name, err)
		}
	}
	return it.Err()
}

// copyArray copies the elements of mmapped arrays as far as both reach. Of elements that
// are unions, kinds says which member is in force.
func copyArray(to, from *ebpf.Map, toType, fromType btf.Type, kinds map[int]string) error {
	into, err := mapBytes(to)
	if err != nil {
		return err
	}
	defer into.close()
	out, err := mapBytes(from)
	if err != nil {
		return err
	}
	defer out.close()
	for i := range min(into.n, out.n) {
		member := kinds[i]
		if member == "" {
			translate(into.elem(i), out.elem(i), toType, fromType)
			continue
		}
		t, known := fieldOf(toType, member)
		f, was := fieldOf(fromType, member)
		if !known || !was {
			return fmt.Errorf("unit %d: a %s is not known to both: %w", i, member, ErrLayout)
		}
		translate(t.in(into.elem(i)), f.in(out.elem(i)), t.kind, f.kind)
	}
	return nil
}

// rawArray is a mmapped array whose records are known by their type information alone.
type rawArray struct {
	bytes        []byte
	stride, size int
	n            int
}

func mapBytes(m *ebpf.Map) (rawArray, error) {
	b, err := unix.Mmap(m.FD(), 0, memorySizeOf(m), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return rawArray{}, fmt.Errorf("map into memory: %w", err)
	}
	return rawArray{bytes: b, stride: (int(m.ValueSize()) + 7) &^ 7, size: int(m.ValueSize()), n: int(m.MaxEntries())}, nil
}

func (a rawArray) elem(i int) []byte { return a.bytes[i*a.stride:][:a.size] }

func (a *rawArray) close() {
	if a.bytes != nil {
		_ = unix.Munmap(a.bytes) // of what was mapped: cannot fail
		a.bytes = nil
	}
}

// unitKinds says what the units are that the services of the table pinned in dir use:
// by their index, the name of the member of the union.
func unitKinds(dir string, units *ebpf.Map, unit btf.Type) (map[int]string, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, controlMapServices), nil)
	if err != nil {
		return nil, fmt.Errorf("pinned map %s: %w", controlMapServices, err)
	}
	defer m.Close()
	types, err := typesOf(m)
	if err != nil {
		return nil, err
	}
	own, err := loadControl()
	if err != nil {
		return nil, fmt.Errorf("compiled data path: %w", err)
	}
	service := recordOf(types, own.Maps[controlMapServices].Value)
	state, hasState := fieldOf(service, "state")
	word, hasVersion := fieldOf(service, "version")
	version, isUnit := fieldOf(unit, "version")
	sched, hasSched := fieldOf(version.kind, "sched")
	if !hasState || !hasVersion || !isUnit || !hasSched {
		return nil, fmt.Errorf("services: %w", ErrLayout)
	}
	services, err := mapBytes(m)
	if err != nil {
		return nil, err
	}
	defer services.close()
	at, err := mapBytes(units)
	if err != nil {
		return nil, err
	}
	defer at.close()
	kinds := map[int]string{}
	for i := range services.n {
		s := services.elem(i)
		if uint32(state.get(s)) != svcLive {
			continue
		}
		first, count := unpackVersion(word.get(s))
		v := Version{Sched: uint8(sched.get(version.in(at.elem(first))))}
		kinds[first] = "version"
		for k := 1; k < unitsOf(&v, count); k++ {
			kinds[first+k] = "entry"
			if k > count {
				kinds[first+k] = "share"
				if placesOf(&v, count) > 0 {
					kinds[first+k] = "place"
				}
			}
		}
	}
	return kinds, nil
}
