package room

import (
	"context"
	"fmt"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/hostnet"
)

// Place is a network namespace without a name, which the kernel takes away when
// the last descriptor of it is closed: with this process, at the latest.
type Place struct{ ns netns.NsHandle }

// Nowhere is a Place that is yet to be made; it can be closed.
func Nowhere() Place { return Place{netns.None()} }

// NewPlace makes a namespace.
func NewPlace() (p Place, err error) {
	p = Nowhere()
	err = Anywhere(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("network namespace: %w", err)
		}
		p.ns, err = netns.Get()
		return err
	})
	return p, err
}

// Descriptor is the open file that stands for the namespace.
func (p Place) Descriptor() int { return int(p.ns) }

// Close lets go of the namespace.
func (p Place) Close() error {
	if !p.ns.IsOpen() {
		return nil
	}
	return p.ns.Close()
}

// Do runs act on a thread in this place, on whichever processor.
func (p Place) Do(act func() error) error {
	return Anywhere(func() error {
		if err := netns.Set(p.ns); err != nil {
			return fmt.Errorf("enter the network namespace: %w", err)
		}
		return act()
	})
}

// DoOn is Do on one processor, which others get little of meanwhile: what is measured
// by the clock on the wall should not wait for them.
func (p Place) DoOn(cpu int, act func() error) error {
	return p.Do(func() error {
		if err := Pin(cpu); err != nil {
			return err
		}
		const first = -20 // the priority goes with the thread
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, first); err != nil {
			return fmt.Errorf("priority %d: %w", first, err)
		}
		return act()
	})
}

// Pin keeps the calling thread, which its goroutine must own, on one processor.
func Pin(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("move to processor %d: %w", cpu, err)
	}
	return nil
}

// Settle brings the place to what is wanted of it as it is.
func (p Place) Settle(ctx context.Context, want func(hostnet.Facts) hostnet.Want) error {
	return p.Do(func() error {
		have, err := hostnet.Read()
		if err != nil {
			return err
		}
		_, err = hostnet.Apply(ctx, hostnet.Plan(have, want(have)))
		return err
	})
}
