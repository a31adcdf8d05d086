package datapath

import (
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// XDPProgram returns the program of the XDP door of this namespace's table, for
// those who run it over packets of their own making. The caller closes it; it
// stays what it was when the table is unloaded.
func XDPProgram() (*ebpf.Program, error) {
	p, err := here()
	if err != nil {
		return nil, err
	}
	if !exists(p.table()) {
		return nil, ErrNoTable
	}
	prog, err := ebpf.LoadPinnedProgram(filepath.Join(p.table(), xdpProgEvsXdp), nil)
	if err != nil {
		return nil, fmt.Errorf("program of the xdp door: %w", err)
	}
	return prog, nil
}
