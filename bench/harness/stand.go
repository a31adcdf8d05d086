package harness

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/bench/bpf"
	"github.com/evs-project/evs/bench/packet"
)

// stand is one loaded harness, the list of flows it walks, and the target
// that sits behind it.
type stand struct {
	objects bpf.HarnessObjects
	memory  *ebpf.Memory // the list of flows
	room    int          // how many flows fit in it

	listed walk // what is in it
}

// walk is which flows the list has, in which order.
type walk struct {
	first, flows int
	shuffled     bool
}

func newStand(flags uint32, flows int) (*stand, error) {
	spec, err := bpf.LoadHarness()
	if err != nil {
		return nil, fmt.Errorf("read the harness: %w", err)
	}
	spec.Maps["flows"].MaxEntries = uint32(flows)
	for _, p := range spec.Programs {
		p.Flags |= flags
	}
	s := &stand{room: flows}
	if err := spec.LoadAndAssign(&s.objects, nil); err != nil {
		return nil, fmt.Errorf("load the harness: %w", err)
	}
	if s.memory, err = s.objects.Flows.Memory(); err != nil {
		return nil, errors.Join(fmt.Errorf("map the list of flows: %w", err), s.objects.Close())
	}
	return s, nil
}

// stand finds the harness that may call the target, and seats the target
// behind it.
func (h *Harness) stand(target *ebpf.Program) (*stand, error) {
	var errs []error
	for _, s := range h.stands {
		err := s.objects.Target.Update(uint32(0), target, ebpf.UpdateAny)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("%v cannot be called by the harness; it must be an XDP program without an attachment of its own kind, such as freplace or cpumap: %w",
		target, errors.Join(errs...))
}

// list writes so many flows from first on in the order of the walk.
func (s *stand) list(first, flows int, shuffled bool) error {
	if flows < 1 || flows > s.room {
		return fmt.Errorf("%d flows: this harness was made for 1 to %d", flows, s.room)
	}
	want := walk{first, flows, shuffled}
	if s.listed == want {
		return nil
	}
	s.listed = walk{}
	for at, flow := range Order(flows, shuffled) {
		if err := s.put(at, first+flow); err != nil {
			return err
		}
	}
	s.listed = want
	return nil
}

// listOne makes the list a single flow.
func (s *stand) listOne(flow int) error {
	s.listed = walk{}
	return s.put(0, flow)
}

func (s *stand) put(at, flow int) error {
	var entry [8]byte
	binary.LittleEndian.PutUint64(entry[:], Entry(flow))
	if _, err := s.memory.WriteAt(entry[:], int64(at)*8); err != nil {
		return fmt.Errorf("write flow %d to place %d of the list: %w", flow, at, err)
	}
	return nil
}

// Order is the walk over the flows: by number, or shuffled the same way every
// time, so that neighbours in the walk are no neighbours in anyone's table.
func Order(flows int, shuffled bool) []int {
	order := make([]int, flows)
	for i := range order {
		order[i] = i
	}
	if shuffled {
		random := rand.New(rand.NewPCG(203, 113))
		random.Shuffle(flows, func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	return order
}

// Entry is a flow as the harness reads it: the client's address, and above it
// the port, both in the order of the wire when stored by a little-endian
// processor.
func Entry(flow int) uint64 {
	client := packet.Client(flow)
	addr := client.Addr().As4()
	port := bits.ReverseBytes16(client.Port())
	return uint64(binary.LittleEndian.Uint32(addr[:])) | uint64(port)<<32
}

// plan tells the harness what to send, and clears its tally.
func (s *stand) plan(scene packet.Scene, play Play) error {
	if n := len(play.Kinds); n != 1 && n != 2 {
		return fmt.Errorf("a play of %d kinds of packet: choose one or two", n)
	}
	if play.Packets < 1 {
		return fmt.Errorf("a play of %d packets: choose at least one", play.Packets)
	}
	var plan bpf.HarnessRunPlan
	for i, k := range play.Kinds {
		blank(scene.Blank(k), &plan, i)
	}
	plan.Flows = uint32(play.Flows)
	plan.Alternate = uint32(len(play.Kinds) - 1)
	if err := s.objects.Plan.Set(plan); err != nil {
		return fmt.Errorf("write the harness's plan: %w", err)
	}
	if err := s.objects.Tally.Set(bpf.HarnessRunTally{}); err != nil {
		return fmt.Errorf("clear the harness's tally: %w", err)
	}
	return nil
}
