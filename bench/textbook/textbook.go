// Package textbook is the yardstick: balancers on the kernel's own hash map,
// as Targets.
package textbook

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/bench/bpf"
	"github.com/evs-project/evs/bench/harness"
	"github.com/evs-project/evs/bench/packet"
)

// Kind is which textbook balancer.
type Kind struct {
	Name   string
	Method packet.Method
	// Coarse takes the time from the clock that ticks with the kernel,
	// cheaper than the exact one.
	Coarse bool
}

// Target is a textbook balancer in the kernel.
type Target struct {
	kind    Kind
	stage   harness.Stage
	objects *bpf.TextbookObjects
}

// New returns a balancer without connections.
func New(k Kind, s harness.Stage) (harness.Target, error) {
	t := &Target{kind: k, stage: s}
	if err := t.Prepare(0); err != nil {
		return nil, err
	}
	return t, nil
}

// Name is the balancer's name in reports.
func (t *Target) Name() string { return t.kind.Name }

// Program is the balancer's program, a new one after each Prepare.
func (t *Target) Program() *ebpf.Program {
	if t.kind.Method == packet.Route {
		return t.objects.TextbookDr
	}
	return t.objects.TextbookNat
}

// Close removes the balancer from the kernel.
func (t *Target) Close() error {
	if t.objects == nil {
		return nil
	}
	err := t.objects.Close()
	t.objects = nil
	return err
}

// Prepare loads everything anew, the surest way to an empty table, and writes
// the connections.
func (t *Target) Prepare(flows int) error {
	if flows > t.stage.Flows {
		return fmt.Errorf("%s: %d flows: made for at most %d", t.Name(), flows, t.stage.Flows)
	}
	if err := t.Close(); err != nil {
		return fmt.Errorf("%s: unload: %w", t.Name(), err)
	}
	if err := t.load(); err != nil {
		return fmt.Errorf("%s: load: %w", t.Name(), err)
	}
	if err := t.serve(); err != nil {
		return fmt.Errorf("%s: add the service: %w", t.Name(), err)
	}
	if err := t.fill(flows); err != nil {
		return fmt.Errorf("%s: write %d connections: %w", t.Name(), flows, err)
	}
	return nil
}

func (t *Target) load() error {
	spec, err := bpf.LoadTextbook()
	if err != nil {
		return err
	}
	if err := spec.Variables["coarse_clock"].Set(boolean(t.kind.Coarse)); err != nil {
		return err
	}
	// Two entries for a NAT connection, one for direct routing, in a table
	// half full, whose chains are short: the kernel gives a hash map about as
	// many buckets as entries. The other balancer's table stays at its one.
	const spare = 2
	if t.kind.Method == packet.Route {
		spec.Maps["routes"].MaxEntries = uint32(spare * t.stage.Flows)
	} else {
		spec.Maps["translations"].MaxEntries = uint32(2 * spare * t.stage.Flows)
	}
	objects := new(bpf.TextbookObjects)
	if err := spec.LoadAndAssign(objects, nil); err != nil {
		return err
	}
	t.objects = objects
	return nil
}

// serve adds the one service with its one backend.
func (t *Target) serve() error {
	service := bpf.TextbookServiceKey{Addr: addr(t.stage.VIP), Port: port(t.stage.VIP), Proto: unix.IPPROTO_TCP}
	backend := bpf.TextbookBackend{
		Addr: addr(t.stage.Server), Port: port(t.stage.Server), Hop: t.hop(t.stage.RealMAC),
	}
	return errors.Join(
		t.objects.Backends.Put(uint32(0), backend),
		t.objects.Services.Put(service, bpf.TextbookService{First: 0, Count: 1}),
	)
}

func (t *Target) fill(flows int) error {
	const chunk = 1 << 14
	write := t.translations
	if t.kind.Method == packet.Route {
		write = t.routes
	}
	expires, err := expiry()
	if err != nil {
		return err
	}
	for from := 0; from < flows; from += chunk {
		to := min(from+chunk, flows)
		if err := write(from, to, expires); err != nil {
			return err
		}
	}
	return nil
}

func (t *Target) translations(from, to int, expires uint64) error {
	var keys []bpf.TextbookFlowKey
	var values []bpf.TextbookTranslation
	vip, server := t.stage.VIP, t.stage.Server
	for f := from; f < to; f++ {
		client := packet.Client(f)
		keys = append(keys, key(client, vip), key(server, client))
		values = append(values,
			bpf.TextbookTranslation{
				Expires: expires, Addr: addr(server), Port: port(server),
				State: established, Hop: t.hop(t.stage.RealMAC),
			},
			bpf.TextbookTranslation{
				Expires: expires, Addr: addr(vip), Port: port(vip), Reply: 1,
				State: established, Hop: t.hop(t.stage.Gateway),
			})
	}
	_, err := t.objects.Translations.BatchUpdate(keys, values, nil)
	return err
}

func (t *Target) routes(from, to int, expires uint64) error {
	var keys []bpf.TextbookFlowKey
	var values []bpf.TextbookRoute
	for f := from; f < to; f++ {
		keys = append(keys, key(packet.Client(f), t.stage.VIP))
		values = append(values, bpf.TextbookRoute{
			Expires: expires, State: established, Hop: t.hop(t.stage.RealMAC),
		})
	}
	_, err := t.objects.Routes.BatchUpdate(keys, values, nil)
	return err
}

// established is the state's number in textbook.h.
const established = 1

func (t *Target) hop(to packet.MAC) bpf.TextbookNextHop {
	var macs [12]byte
	copy(macs[0:], to[:])
	copy(macs[6:], t.stage.Director[:])
	hop := bpf.TextbookNextHop{Ifindex: uint32(t.stage.Link)}
	for i := range hop.Macs {
		hop.Macs[i] = binary.LittleEndian.Uint32(macs[4*i:])
	}
	return hop
}

func key(from, to netip.AddrPort) bpf.TextbookFlowKey {
	return bpf.TextbookFlowKey{
		Saddr: addr(from), Daddr: addr(to), Sport: port(from), Dport: port(to), Proto: unix.IPPROTO_TCP,
	}
}

func addr(a netip.AddrPort) uint32 {
	b := a.Addr().As4()
	return binary.LittleEndian.Uint32(b[:])
}

func port(a netip.AddrPort) uint16 { return bits.ReverseBytes16(a.Port()) }

func boolean(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// expiry is the end of an established connection's life from now, on the clock
// that the programs read.
func expiry() (uint64, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, fmt.Errorf("read the monotonic clock: %w", err)
	}
	return uint64(now.Nano()) + uint64(15*time.Minute), nil
}
