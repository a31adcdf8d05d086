package datapath

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// conf are the facts of a load: what the programs of a table have as constants
// (bpf/conf.h).
type conf struct {
	Hz, Cpus, Dsts      uint32
	Buckets4, Overflow4 uint32
	Buckets6, Overflow6 uint32
	Seed                [2]uint64
}

// vars are the facts by the names of their variables.
func (c *conf) vars() map[string]any {
	return map[string]any{
		controlVarConfHz:        &c.Hz,
		controlVarConfCpus:      &c.Cpus,
		controlVarConfDsts:      &c.Dsts,
		controlVarConfBuckets4:  &c.Buckets4,
		controlVarConfBuckets6:  &c.Buckets6,
		controlVarConfOverflow4: &c.Overflow4,
		controlVarConfOverflow6: &c.Overflow6,
		controlVarConfSeed:      &c.Seed,
	}
}

// newConf returns the facts of a new table.
func newConf(sizes Sizes) (conf, error) {
	hz, err := measureTickRate()
	if err != nil {
		return conf{}, err
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return conf{}, fmt.Errorf("number of CPUs: %w", err)
	}
	spec, err := loadControl()
	if err != nil {
		return conf{}, fmt.Errorf("compiled data path: %w", err)
	}
	ceiling := spec.Maps[controlMapDsts].MaxEntries
	c := conf{Hz: hz, Cpus: uint32(cpus), Seed: randomSeed()}
	c.Dsts = uint32(firstDst + sizes.dsts(memorySize(), cpus, int(ceiling), unitsPerDst(spec)))
	c.size(sizes)
	return c, nil
}

// size sets how many buckets there are.
func (c *conf) size(sizes Sizes) {
	buckets4 := sizes.buckets(memorySize())
	buckets6 := buckets4
	if sizes.Conns == 0 {
		buckets6 = max(minBuckets, buckets4/2)
	}
	c.Buckets4, c.Buckets6 = uint32(buckets4), uint32(buckets6)
	c.Overflow4, c.Overflow6 = uint32(max(minOverflow, buckets4/overflowPart)), uint32(max(minOverflow, buckets6/overflowPart))
}

func unitsPerDst(spec *ebpf.CollectionSpec) int {
	return int(spec.Maps[controlMapUnits].MaxEntries / spec.Maps[controlMapDsts].MaxEntries)
}

func randomSeed() [2]uint64 {
	var b [16]byte
	rand.Read(b[:])
	return [2]uint64{binary.NativeEndian.Uint64(b[:8]) | 1, binary.NativeEndian.Uint64(b[8:]) | 1}
}

// collections are the parts of the data path, in the order in which they are loaded.
// Tests put others in their place.
var collections = []func() (*ebpf.CollectionSpec, error){loadControl, loadTc, loadXdp}

// loadSpecs returns the collections with the facts of a load filled in.
func loadSpecs(c conf) ([]*ebpf.CollectionSpec, error) {
	var specs []*ebpf.CollectionSpec
	for _, load := range collections {
		spec, err := load()
		if err != nil {
			return nil, fmt.Errorf("compiled data path: %w", err)
		}
		units := max(minUnits, c.Dsts*uint32(unitsPerDst(spec)))
		for name, entries := range map[string]uint32{
			controlMapDsts: c.Dsts, controlMapDstConfs: c.Dsts, controlMapEstimators: c.Dsts,
			controlMapUnits:    units,
			controlMapStatsMap: c.Dsts * c.Cpus,
			controlMapConns4:   c.Buckets4 + c.Overflow4 + c.Cpus, // see one_packet.h
			controlMapConns6:   c.Buckets6 + c.Overflow6 + c.Cpus,
			controlMapHalfRing: uint32(halfOpenPlaces(int(c.Buckets4)) + halfOpenPlaces(int(c.Buckets6))),
		} {
			spec.Maps[name].MaxEntries = entries
		}
		for name, value := range c.vars() {
			if v := spec.Variables[name]; v != nil {
				if err := v.Set(value); err != nil {
					return nil, fmt.Errorf("setting %s: %w", name, err)
				}
			}
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

// readConf returns the facts that the table pinned in dir was loaded with.
func readConf(dir string) (c conf, err error) {
	constants, err := constantsOf(dir)
	if err != nil {
		return c, err
	}
	vars := c.vars()
	for _, at := range constants.section.Vars {
		to := vars[at.Type.TypeName()]
		if to == nil {
			continue
		}
		delete(vars, at.Type.TypeName())
		if err := binary.Read(bytes.NewReader(constants.value[at.Offset:at.Offset+at.Size]), binary.NativeEndian, to); err != nil {
			return c, fmt.Errorf("fact %s of the table: %w", at.Type.TypeName(), err)
		}
	}
	for name := range vars {
		return c, fmt.Errorf("the table's programs have no %s: `evs unload` removes it", name)
	}
	return c, nil
}

// constants are what programs were loaded with. The kernel keeps them in a map that
// belongs to the programs.
type constants struct {
	types   *btf.Spec
	section *btf.Datasec
	value   []byte
}

// constantsOf returns those of the table pinned in dir.
func constantsOf(dir string) (c constants, err error) {
	program, err := ebpf.LoadPinnedProgram(filepath.Join(dir, controlProgEvsStart), nil)
	if err != nil {
		return c, fmt.Errorf("facts of the table: %w", err)
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return c, fmt.Errorf("facts of the table: %w", err)
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		found, err := c.read(id)
		if err != nil {
			return c, fmt.Errorf("facts of the table: %w", err)
		}
		if found {
			return c, nil
		}
	}
	return c, errors.New("facts of the table: its programs have none; `evs unload` removes it")
}

// read reads the constants from a map, if it is the one that has them.
func (c *constants) read(id ebpf.MapID) (bool, error) {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return false, err
	}
	defer m.Close()
	if c.types, err = typesOf(m); err != nil || c.types.TypeByName(".rodata", &c.section) != nil {
		return false, err
	}
	c.value, err = m.LookupBytes(uint32(0))
	return true, err
}

// enumOf returns an enum of the programs that serve the table pinned in dir.
func enumOf(dir, name string) (*btf.Enum, error) {
	c, err := constantsOf(dir)
	if err != nil {
		return nil, err
	}
	var e *btf.Enum
	if err := c.types.TypeByName(name, &e); err != nil {
		return nil, fmt.Errorf("facts of the table: enum %s: %w", name, err)
	}
	return e, nil
}

// typesOf returns the types of a map's keys and values, as the kernel keeps them.
func typesOf(m *ebpf.Map) (*btf.Spec, error) {
	handle, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("types of a map: %w", err)
	}
	defer handle.Close()
	types, err := handle.Spec(nil)
	if err != nil {
		return nil, fmt.Errorf("types of a map: %w", err)
	}
	return types, nil
}
