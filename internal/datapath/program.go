package datapath

import (
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// XDPProgram returns the program of the XDP door of this namespace's table, for
// those who run it over packets of their own making. The caller closes it; it
// stays what it was when the table is unloaded.
func XDPProgram() (*ebpf.Program, error) { return program(xdpProgEvsXdp) }

// SweepProgram returns likewise the one that ends what has to end, for those who want
// to know what that takes.
func SweepProgram() (*ebpf.Program, error) { return program(controlProgEvsSweep) }

func program(name string) (*ebpf.Program, error) {
	p, err := here()
	if err != nil {
		return nil, err
	}
	if !exists(p.table()) {
		return nil, ErrNoTable
	}
	prog, err := ebpf.LoadPinnedProgram(filepath.Join(p.table(), name), nil)
	if err != nil {
		return nil, fmt.Errorf("program %s: %w", name, err)
	}
	return prog, nil
}
