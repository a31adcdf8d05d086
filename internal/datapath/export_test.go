package datapath

import "github.com/cilium/ebpf"

// SetCollections puts other parts of the data path in the place of this program's, and
// returns how to take them back.
func SetCollections(others []func() (*ebpf.CollectionSpec, error)) (back func()) {
	own := collections
	collections = others
	return func() { collections = own }
}
