package datapath

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
)

// loadAll makes one set of maps for the collections, but for those that are known,
// loads their programs onto it, pins those in dir and returns the maps. It takes the
// known maps over. The kernel takes most of the time, to
// verify and to compile, and does so on as many processors as it is asked on: the
// programs are loaded side by side.
func loadAll(specs []*ebpf.CollectionSpec, known map[string]*ebpf.Map, dir string) (map[string]*ebpf.Map, error) {
	shared, err := makeMaps(specs, known)
	if err != nil {
		return nil, err
	}
	var loads []func() error
	for _, spec := range specs {
		for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
			loads = append(loads, func() error { return pinProgram(spec, name, shared, dir) })
		}
	}
	errs := make([]error, len(loads))
	var all sync.WaitGroup
	for i, load := range loads {
		all.Go(func() { errs[i] = load() })
	}
	all.Wait()
	for _, err := range errs { // what fails one fails most: the first says it
		if err != nil {
			closeAll(shared)
			return nil, err
		}
	}
	return shared, nil
}

// makeMaps makes each map that the collections declare, once, unless it is known.
func makeMaps(specs []*ebpf.CollectionSpec, known map[string]*ebpf.Map) (map[string]*ebpf.Map, error) {
	shared := map[string]*ebpf.Map{}
	maps.Copy(shared, known)
	for _, spec := range specs {
		for name, m := range spec.Maps {
			if shared[name] != nil || !isShared(name, m) {
				continue
			}
			made, err := ebpf.NewMap(m)
			if err != nil {
				closeAll(shared)
				return nil, loadError("map "+name, err)
			}
			shared[name] = made
		}
	}
	return shared, nil
}

// isShared tells the maps of the data path from the sections of constants, of which
// each program has its own.
func isShared(name string, m *ebpf.MapSpec) bool {
	return m.Type != ebpf.UnspecifiedMap && name[0] != '.'
}

// pinProgram loads one program of a collection onto the maps, and pins it.
func pinProgram(spec *ebpf.CollectionSpec, name string, shared map[string]*ebpf.Map, dir string) error {
	alone := *spec
	alone.Programs = map[string]*ebpf.ProgramSpec{name: spec.Programs[name]}
	known := maps.Clone(shared)
	maps.DeleteFunc(known, func(name string, _ *ebpf.Map) bool { return spec.Maps[name] == nil })
	coll, err := ebpf.NewCollectionWithOptions(&alone, ebpf.CollectionOptions{MapReplacements: known})
	if err != nil {
		return loadError("data path", err)
	}
	defer coll.Close()
	if err := coll.Programs[name].Pin(filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("pin program %s: %w", name, err)
	}
	return nil
}

func closeAll(all map[string]*ebpf.Map) {
	for _, m := range all {
		m.Close()
	}
}
