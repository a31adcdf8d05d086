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
	"slices"
	"sync"
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

	mode    ipvs.AttachMode
	conns   int // the table is made for
	table   *ipvs.Table
	clock   datapath.Editor
	changed bool // something but the table is not as it was built
	bent    bool // the same, but it can be put right
}

// New builds a bed whose interfaces are attached by mode. The calling goroutine
// is locked to a thread in the director's namespace until it ends; the bed goes
// with the test.
func New(t *testing.T, mode ipvs.AttachMode) *Bed {
	t.Helper()
	return NewSized(t, mode, Conns)
}

// NewSized is New with a table for so many connections.
func NewSized(t *testing.T, mode ipvs.AttachMode, conns int) *Bed {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes network namespaces and loads eBPF programs, and needs root: run it with sudo")
	}
	b := &Bed{conns: conns}
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
	b.mode = mode
	if err := b.Build(); err != nil {
		return err
	}
	if b.table, err = ipvs.OpenSized(context.Background(), b.conns); err != nil {
		return err
	}
	return b.table.Attach(mode)
}

// Beds are lent to tests, one after the other: to load the programs takes longer than
// most of what is done with them.
type Beds struct {
	mu   sync.Mutex
	free []*Bed
}

// NewBeds returns none yet. They go with the test.
func NewBeds(t *testing.T) *Beds {
	p := &Beds{}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Close undoes the beds that nobody has.
func (p *Beds) Close() (err error) {
	for _, b := range p.free {
		err = errors.Join(err, b.closeWithin())
	}
	if err != nil {
		return fmt.Errorf("test bed: %w", err)
	}
	return nil
}

// Lend gives a test a bed like New's, until it ends.
func (p *Beds) Lend(t *testing.T, mode ipvs.AttachMode) *Bed {
	t.Helper()
	b := p.take(mode)
	if b == nil {
		b = &Bed{conns: Conns}
		if err := b.build(mode); err != nil {
			t.Fatalf("test bed: %v", errors.Join(err, b.close()))
		}
	} else if err := errors.Join(b.Enter(), b.straighten(), b.wipe()); err != nil {
		t.Fatalf("test bed: %v", errors.Join(err, b.close()))
	}
	t.Cleanup(func() {
		if b.changed || t.Failed() {
			if err := b.closeWithin(); err != nil {
				t.Errorf("test bed: %v", err)
			}
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.free = append(p.free, b)
	})
	return b
}

// take returns a bed that nobody has, nil if there is none of the mode.
func (p *Beds) take(mode ipvs.AttachMode) *Bed {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.free, func(b *Bed) bool { return b.mode == mode })
	if i < 0 {
		return nil
	}
	b := p.free[i]
	p.free = slices.Delete(p.free, i, i+1)
	return b
}

// straighten puts right what IP may have changed.
func (b *Bed) straighten() error {
	if !b.bent {
		return nil
	}
	b.bent = false
	return errors.Join(b.widen(), b.meet())
}

// wipe makes the table what it was at first.
func (b *Bed) wipe() (err error) {
	if err := errors.Join(b.table.Close(), b.clock.Close()); err != nil {
		return err
	}
	var e datapath.Editor
	if err := errors.Join(e.Wipe(context.Background()), e.Close()); err != nil {
		return err
	}
	b.drain()
	b.table, err = ipvs.OpenSized(context.Background(), b.conns)
	return err
}

// drain takes frames that nobody waited for off the cables.
func (b *Bed) drain() {
	for _, port := range []*Port{b.Client, b.Server} {
		for frame, err := port.Receive(0); frame != nil && err == nil; {
			frame, err = port.Receive(0)
		}
	}
}

// closeWithin is close for a goroutine that is not in the director's namespace.
func (b *Bed) closeWithin() error {
	done := make(chan error)
	go func() {
		err := b.Enter() // the thread ends with the goroutine
		done <- errors.Join(err, b.close())
	}()
	return <-done
}

// close takes the table out of the kernel, and then the namespaces.
func (b *Bed) close() (err error) {
	if b.table != nil {
		_, err = b.table.Unload()
	}
	return errors.Join(err, b.clock.Close(), b.Close())
}

// Table is the director's table, for the goroutine that made the bed.
func (b *Bed) Table() *ipvs.Table { return b.table }

// Advance puts the clock of the director's table forward, and ends what expires by it.
func (b *Bed) Advance(by time.Duration) error {
	return b.clock.View(func(t *datapath.Table) error { return t.Advance(by) })
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
