package datapath

import (
	"fmt"
	"path/filepath"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// array is a mmapped BPF array: its elements are read and written in place,
// and a store of an aligned word is seen by the data path as one.
type array[T any] struct {
	bytes []byte
	elems []T
}

// mapArray maps the array pinned in dir under name.
func mapArray[T any](dir, name string) (array[T], error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, name), nil)
	if err != nil {
		return array[T]{}, fmt.Errorf("pinned map %s: %w", name, err)
	}
	defer m.Close()
	return mapMemory[T](m, name)
}

func mapMemory[T any](m *ebpf.Map, name string) (array[T], error) {
	var elem T
	if size := unsafe.Sizeof(elem); uintptr(m.ValueSize()) != size || size%8 != 0 && m.MaxEntries() > 1 && size != 4 {
		return array[T]{}, fmt.Errorf("map %s: values of %d bytes, this program has %d: %w", name, m.ValueSize(), size, ErrLayout)
	}
	b, err := unix.Mmap(m.FD(), 0, memorySizeOf(m), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return array[T]{}, fmt.Errorf("map %s into memory: %w", name, err)
	}
	return array[T]{bytes: b, elems: unsafe.Slice((*T)(unsafe.Pointer(&b[0])), m.MaxEntries())}, nil
}

// memorySizeOf returns how many bytes of memory an array takes.
func memorySizeOf(m *ebpf.Map) int {
	stride := (int(m.ValueSize()) + 7) &^ 7
	return (stride*int(m.MaxEntries()) + 4095) &^ 4095
}

func (a *array[T]) close() {
	if a.bytes != nil {
		_ = unix.Munmap(a.bytes) // of what was mapped: cannot fail
		*a = array[T]{}
	}
}

// as reinterprets a record; the two have the same size.
func as[To, From any](p *From) *To { return (*To)(unsafe.Pointer(p)) }
