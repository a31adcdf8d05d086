// Package bed is the test bed of the conformance recordings: a director between
// a client side and a server side, as test/conformance describes it, in network
// namespaces of its own. It builds and undoes, injects frames and catches what
// comes out; it never judges.
package bed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/ipvs"
)

// Conns is how many connections the tables of the bed have room for: the least
// that there is, so that tests can fill it.
const Conns = 1

// Bed is one topology with an empty table.
type Bed struct {
	Topology

	table *ipvs.Table
}

// New builds a bed whose interfaces are attached by mode. The calling goroutine
// is locked to a thread in the director's namespace until it ends; the bed goes
// with the test.
func New(t *testing.T, mode ipvs.AttachMode) *Bed {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes network namespaces and loads eBPF programs, and needs root: run it with sudo")
	}
	b := &Bed{}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Errorf("test bed: %v", err)
		}
	})
	if err := b.build(mode); err != nil {
		t.Fatalf("test bed: %v", err)
	}
	return b
}

// build leaves what it made to close.
func (b *Bed) build(mode ipvs.AttachMode) (err error) {
	if err := b.Build(); err != nil {
		return err
	}
	if b.table, err = ipvs.OpenSized(context.Background(), Conns); err != nil {
		return err
	}
	return b.table.Attach(mode)
}

// close takes the table out of the kernel, and then the namespaces.
func (b *Bed) close() (err error) {
	if b.table != nil {
		_, err = b.table.Unload()
	}
	return errors.Join(err, b.Close())
}

// Table is the director's table, for the goroutine that made the bed.
func (b *Bed) Table() *ipvs.Table { return b.table }

// Advance puts the clock of the director's table forward, and ends what expires by it.
func (b *Bed) Advance(by time.Duration) error {
	var e datapath.Editor
	defer e.Close()
	return e.View(func(t *datapath.Table) error { return t.Advance(by) })
}

// Pins is the directory in which the director's table is pinned: that of the
// namespace's cookie.
func (b *Bed) Pins() (string, error) {
	cookie, err := hostnet.Cookie()
	return fmt.Sprintf("/sys/fs/bpf/evs/%x/table", cookie), err
}

// Program loads a pinned program of the director's data path: evs_tc, evs_xdp.
func (b *Bed) Program(name string) (*ebpf.Program, error) {
	dir, err := b.Pins()
	if err != nil {
		return nil, err
	}
	return ebpf.LoadPinnedProgram(filepath.Join(dir, name), nil)
}
