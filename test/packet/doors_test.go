package packet

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
)

// door is one way into the data path, entered by test runs of its program: no
// packet is sent anywhere.
type door struct {
	mode     ipvs.AttachMode
	program  string
	verdicts map[uint32]verdict
	context  func(ifindex, length int) []byte
}

// verdict is what becomes of a packet.
type verdict string

const (
	leave verdict = "left to the kernel"
	send  verdict = "sent"
	drop  verdict = "dropped"
	// refuse is an ICMP error to the sender, which XDP leaves to tc to make.
	refuse verdict = "refused"
)

const tcUnspec = 0xffffffff

var doors = []door{
	{ipvs.AttachTC, "evs_tc", map[uint32]verdict{tcUnspec: leave, 7: send, 2: drop}, skBuff},
	{ipvs.AttachXDP, "evs_xdp", map[uint32]verdict{2: leave, 4: send, 1: drop}, xdpMd},
}

// skBuff is a struct __sk_buff with its ifindex.
func skBuff(ifindex, _ int) []byte {
	b := make([]byte, 192)
	binary.NativeEndian.PutUint32(b[40:], uint32(ifindex))
	return b
}

// xdpMd is a struct xdp_md with data_end and ingress_ifindex.
func xdpMd(ifindex, length int) []byte {
	b := make([]byte, 24)
	binary.NativeEndian.PutUint32(b[4:], uint32(length))
	binary.NativeEndian.PutUint32(b[12:], uint32(ifindex))
	return b
}

// runner runs packets through a program. It is for one goroutine in the
// director's namespace.
type runner struct {
	door    door
	bed     *bed.Bed
	program *ebpf.Program
	out     []byte
}

func newRunner(t *testing.T, d door, b *bed.Bed) *runner {
	t.Helper()
	p, err := b.Program(d.program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return &runner{door: d, bed: b, program: p, out: make([]byte, 4096)}
}

// run returns what became of a frame that came in on the client's or the
// server's side, and the frame as the program left it, until the next run.
func (r *runner) run(frame []byte, fromServer bool) (verdict, []byte, error) {
	ifindex := r.bed.D0
	if fromServer {
		ifindex = r.bed.D1
	}
	opts := ebpf.RunOptions{Data: frame, DataOut: r.out[:cap(r.out)], Context: r.door.context(ifindex, len(frame))}
	code, err := r.program.Run(&opts)
	if err != nil {
		return "", nil, fmt.Errorf("test run of %s: %w", r.door.program, err)
	}
	v, ok := r.door.verdicts[code]
	if !ok {
		return "", nil, fmt.Errorf("%s returned %d", r.door.program, code)
	}
	return v, opts.DataOut, nil
}
