package harness

import (
	"fmt"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/evs-project/evs/bench/bpf"
	"github.com/evs-project/evs/bench/packet"
)

// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES: what the program returns is done.
const liveFrames = 1 << 1

// batch is how many frames the kernel makes before it has them sent. A veth holds
// 256, and drops what is more.
const batch = 64

// Stay attaches the generator to an interface of the calling thread's namespace that
// carries nothing. While it is attached somewhere the kernel has a call of its own for
// the program; else it makes one for each Send, and waits until no processor can be in
// the old one any more: tens of milliseconds.
func (h *Harness) Stay(idle int) (link.Link, error) {
	l, err := link.AttachXDP(link.XDPOptions{Program: h.stands[0].objects.Harness, Interface: idle, Flags: link.XDPGenericMode})
	if err != nil {
		return nil, fmt.Errorf("keep the generator: %w", err)
	}
	return l, nil
}

// Send makes the packets of a play and sends them out of interface link, which
// must be of the calling thread's namespace: a generator in the kernel. How many
// arrived, only the other end knows. The caller chooses the processor.
func (h *Harness) Send(link int, play Play) (sent uint64, took time.Duration, err error) {
	s := h.stands[0]
	if err := s.objects.Target.Update(uint32(0), s.objects.Empty, ebpf.UpdateAny); err != nil {
		return 0, 0, fmt.Errorf("seat the program that sends: %w", err)
	}
	if err := s.list(play.First, play.Flows, play.Shuffled); err != nil {
		return 0, 0, err
	}
	if err := s.plan(h.scene, play); err != nil {
		return 0, 0, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := time.Now()
	_, err = s.objects.Harness.Run(&ebpf.RunOptions{
		Data:      h.scene.Frame(packet.ACK, 0),
		Context:   context{DataEnd: packet.Len, IngressIfindex: uint32(link)},
		Repeat:    uint32(play.Packets),
		Flags:     liveFrames,
		BatchSize: batch,
	})
	took = time.Since(began)
	if err != nil {
		return 0, 0, fmt.Errorf("send %d packets: %w", play.Packets, err)
	}
	var tally bpf.HarnessRunTally
	if err := s.objects.Tally.Get(&tally); err != nil {
		return 0, 0, fmt.Errorf("read the harness's tally: %w", err)
	}
	return tally.Runs, took, nil
}
