// Package harness runs a program in the kernel over packets of many flows, and
// says what a packet cost. It never decides what is fast enough.
package harness

import (
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/bench/bpf"
	"github.com/evs-project/evs/bench/packet"
)

// Target is a balancer under measurement.
type Target interface {
	Name() string
	// Program is the XDP program that packets enter by. It may be another
	// one after each Prepare.
	Program() *ebpf.Program
	// Prepare leaves the connections of flows 0 to flows-1 established, and
	// no others: Prepare(0) empties the table.
	Prepare(flows int) error
	Close() error
}

// Stage is what a Target is built upon.
type Stage struct {
	packet.Scene
	Link    int // index of the interface that packets come in by
	Flows   int // the most flows that Prepare will be asked for
	Harness *Harness
}

// Play is a walk over the flows.
type Play struct {
	// Kinds are one kind of packet, or two that take turns.
	Kinds []packet.Kind
	// First is the first flow, of Flows.
	First, Flows int
	// Packets is how many are sent; past the last flow the walk starts over.
	Packets int
	// Shuffled walks in a random order that is the same every time;
	// otherwise the flows come by number.
	Shuffled bool
}

// Outcome is what a Play came to.
type Outcome struct {
	Packets   uint64
	Forwarded uint64 // of all but the last packet
	CPU       time.Duration
	Verdict   uint32 // on the last packet
	Frame     []byte // what became of the last packet
}

// PerPacket is the mean cost of a packet, harness included, in nanoseconds.
func (o Outcome) PerPacket() float64 {
	return float64(o.CPU.Nanoseconds()) / float64(o.Packets)
}

// Harness owns the programs that stand in front of a target.
type Harness struct {
	scene  packet.Scene
	link   int
	stands []*stand
}

// fragsFlag is BPF_F_XDP_HAS_FRAGS. A program array takes programs with the
// flag or without, never both, so there is a stand of either sort.
const fragsFlag = 1 << 5

// New loads the harness for at most the given number of flows, whose packets
// seem to come in by interface link.
func New(scene packet.Scene, link, flows int) (*Harness, error) {
	if flows < 1 || flows > packet.MaxFlows {
		return nil, fmt.Errorf("%d flows: choose between 1 and %d", flows, packet.MaxFlows)
	}
	h := &Harness{scene: scene, link: link}
	for _, flags := range []uint32{0, fragsFlag} {
		s, err := newStand(flags, flows)
		if err != nil {
			return nil, errors.Join(err, h.Close())
		}
		h.stands = append(h.stands, s)
	}
	return h, nil
}

// Close removes the harness from the kernel.
func (h *Harness) Close() error {
	var errs []error
	for _, s := range h.stands {
		errs = append(errs, s.objects.Close())
	}
	h.stands = nil
	return errors.Join(errs...)
}

// Empty is the program that does nothing, of the sort that target is: what to
// run to learn the cost of the harness alone.
func (h *Harness) Empty(target *ebpf.Program) (*ebpf.Program, error) {
	s, err := h.stand(target)
	if err != nil {
		return nil, err
	}
	return s.objects.Empty, nil
}

// Run plays packets through the target.
func (h *Harness) Run(target *ebpf.Program, play Play) (Outcome, error) {
	s, err := h.stand(target)
	if err != nil {
		return Outcome{}, err
	}
	if err := s.list(play.First, play.Flows, play.Shuffled); err != nil {
		return Outcome{}, err
	}
	return h.run(s, play)
}

// One sends a single packet of a kind and a flow through the target.
func (h *Harness) One(target *ebpf.Program, k packet.Kind, flow int) (Outcome, error) {
	s, err := h.stand(target)
	if err != nil {
		return Outcome{}, err
	}
	if err := s.listOne(flow); err != nil {
		return Outcome{}, err
	}
	return h.run(s, Play{Kinds: []packet.Kind{k}, Flows: 1, Packets: 1})
}

// handshakes is how many connections are opened at a time: of the half-open, a
// balancer may have room for few.
const handshakes = 4000

// Establish plays the opening of flows 0 to flows-1 through the target, each
// with its SYN, SYN/ACK and ACK. A balancer that does direct routing sees no
// replies.
func (h *Harness) Establish(target *ebpf.Program, m packet.Method, flows int) error {
	for first := 0; first < flows; first += handshakes {
		n := min(handshakes, flows-first)
		play := Play{Kinds: []packet.Kind{packet.SYN}, First: first, Flows: n, Packets: n}
		o, err := h.Run(target, play)
		if err == nil {
			err = o.Complete()
		}
		if err == nil {
			err = h.Answer(target, m, play)
		}
		if err != nil {
			return fmt.Errorf("open %d connections: %w", flows, err)
		}
	}
	return nil
}

// Answer plays what follows a SYN of each flow of a play, until they are established.
func (h *Harness) Answer(target *ebpf.Program, m packet.Method, play Play) error {
	for _, k := range []packet.Kind{packet.SYNACK, packet.ACK} {
		if k.Reply && m == packet.Route {
			continue
		}
		play.Kinds = []packet.Kind{k}
		o, err := h.Run(target, play)
		if err == nil {
			err = o.Complete()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", k.Name, err)
		}
	}
	return nil
}

// Complete says whether every packet was forwarded. The kernel starts a run
// over when a signal interrupts it, and the packet under way is not counted:
// a handful may be missing.
func (o Outcome) Complete() error {
	const handful = 16
	if o.Verdict != verdictTX && o.Verdict != verdictRedirect {
		return fmt.Errorf("the last packet was not forwarded: verdict %s", verdictName(o.Verdict))
	}
	if o.Forwarded+handful < o.Packets {
		return fmt.Errorf("only %d of %d packets were forwarded", o.Forwarded, o.Packets)
	}
	return nil
}

// context is struct xdp_md, as a test run takes it.
type context struct {
	Data, DataEnd, DataMeta              uint32
	IngressIfindex, RxQueue, EgressIndex uint32
}

func (h *Harness) run(s *stand, play Play) (Outcome, error) {
	if err := s.plan(h.scene, play); err != nil {
		return Outcome{}, err
	}
	in := h.scene.Frame(packet.ACK, 0)
	options := &ebpf.RunOptions{
		Data:    in,
		DataOut: make([]byte, 4*packet.Len), // room for an encapsulation
		Context: context{DataEnd: packet.Len, IngressIfindex: uint32(h.link)},
		Repeat:  uint32(play.Packets),
	}
	// Processor time of this thread, not time on the wall: what the
	// neighbours take is not the target's cost.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start, err := CPUTime()
	if err != nil {
		return Outcome{}, err
	}
	verdict, err := s.objects.Harness.Run(options)
	if err != nil {
		return Outcome{}, fmt.Errorf("run %d packets: %w", play.Packets, err)
	}
	end, err := CPUTime()
	if err != nil {
		return Outcome{}, err
	}
	var tally bpf.HarnessRunTally
	if err := s.objects.Tally.Get(&tally); err != nil {
		return Outcome{}, fmt.Errorf("read the harness's tally: %w", err)
	}
	return Outcome{
		Packets:   tally.Runs,
		Forwarded: tally.Forwarded,
		CPU:       end - start,
		Verdict:   verdict,
		Frame:     options.DataOut,
	}, nil
}

// CPUTime is the processor time that the calling thread has had.
func CPUTime() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0, fmt.Errorf("read the thread's processor time: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// blank turns a frame into what the harness fills in. It adds up words as the
// processor loads them, so the wire's sums are swapped.
func blank(b packet.Blank, into *bpf.HarnessRunPlan, at int) {
	f := &into.Frames[at]
	copy(f.Bytes[:], b.Bytes[:])
	f.IpSum = uint32(bits.ReverseBytes16(b.IPSum))
	f.TcpSum = uint32(bits.ReverseBytes16(b.TCPSum))
	f.AddrShift, f.PortShift = 0, 0
	if b.Reply {
		f.AddrShift, f.PortShift = 32, 16
	}
}
