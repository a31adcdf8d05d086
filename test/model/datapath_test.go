package model_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
	"github.com/evs-project/evs/test/model"
)

// kernel is the data path, entered by test runs of its programs by one of its doors: what
// XDP passes on meets tc.
type kernel struct {
	bed     *bed.Bed
	door    ipvs.AttachMode
	xdp, tc *ebpf.Program
	out     []byte
	held    time.Time       // when the clock of the table was last set
	changed map[string]bool // settings
	packets map[counter]uint64
}

// counter is one of packets: a destination of a service.
type counter struct {
	service     ipvs.ServiceKey
	destination netip.AddrPort
}

func newKernel(t *testing.T, door ipvs.AttachMode) *kernel {
	k := &kernel{
		bed: bed.New(t, door), door: door, out: make([]byte, 4096),
		held: time.Now(), changed: map[string]bool{}, packets: map[counter]uint64{},
	}
	for name, p := range map[string]**ebpf.Program{"evs_xdp": &k.xdp, "evs_tc": &k.tc} {
		program, err := k.bed.Program(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { program.Close() })
		*p = program
	}
	for _, prefix := range marks {
		if err := k.bed.Table().AddMark(ipvs.MarkRule{Destination: netip.MustParsePrefix(prefix), Mark: mark}); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// reset empties the table, of connections too.
func (k *kernel) reset() error {
	if err := k.ipvsadm("-C"); err != nil {
		return err
	}
	fresh := model.New()
	for name := range k.changed {
		if err := k.set(name, fresh.Settings[name]); err != nil {
			return err
		}
	}
	clear(k.changed)
	if err := k.ipvsadm("--set", "900", "120", "300"); err != nil {
		return err
	}
	return k.advance(2 * time.Hour)
}

// advance steps the clock of the table, which goes on by itself too, and takes that
// back. A template that has run out is looked at twice.
func (k *kernel) advance(by time.Duration) error {
	now := time.Now()
	by -= now.Sub(k.held)
	k.held = now
	if err := k.bed.Advance(by); err != nil {
		return err
	}
	return k.bed.Advance(0)
}

// hold takes back what the clock has gone on by itself, before that matters.
func (k *kernel) hold() error {
	if time.Since(k.held) < 200*time.Millisecond {
		return nil
	}
	return k.advance(0)
}

func (k *kernel) ipvsadm(argv ...string) error {
	if _, stderr, exit := k.bed.Ipvsadm(argv...); exit != 0 {
		return fmt.Errorf("ipvsadm %q: exit %d: %s", argv, exit, stderr)
	}
	return nil
}

// set changes a setting. What it ends is ended at once.
func (k *kernel) set(name string, value int) error {
	k.changed[name] = true
	if err := k.bed.Table().SetSysctl(name, fmt.Sprint(value)); err != nil {
		return err
	}
	if name != "expire_nodest_conn" || value == 0 {
		return nil
	}
	return k.bed.Advance(0)
}

const (
	xdpDrop, xdpPass, xdpRedirect = 1, 2, 4
	tcShot, tcRedirect, tcUnspec  = 2, 7, 0xffffffff
)

// run puts a frame through the door: the verdict as that of tc.
func (k *kernel) run(frame []byte, ifindex int) (verdict uint32, out []byte, err error) {
	if k.door == ipvs.AttachTC {
		return k.runTC(frame, ifindex)
	}
	md := make([]byte, 24)
	binary.NativeEndian.PutUint32(md[4:], uint32(len(frame)))
	binary.NativeEndian.PutUint32(md[12:], uint32(ifindex))
	run := ebpf.RunOptions{Data: frame, DataOut: k.out[:cap(k.out)], Context: md}
	verdict, err = k.xdp.Run(&run)
	if err != nil {
		return 0, nil, err
	}
	switch verdict {
	case xdpDrop:
		return tcShot, nil, nil
	case xdpRedirect:
		return tcRedirect, run.DataOut, nil
	case xdpPass:
		return k.runTC(bytes.Clone(run.DataOut), ifindex)
	}
	return 0, nil, fmt.Errorf("verdict %d of XDP", verdict)
}

func (k *kernel) runTC(frame []byte, ifindex int) (verdict uint32, out []byte, err error) {
	skb := make([]byte, 192)
	binary.NativeEndian.PutUint32(skb[40:], uint32(ifindex))
	run := ebpf.RunOptions{Data: frame, DataOut: k.out[:cap(k.out)], Context: skb}
	verdict, err = k.tc.Run(&run)
	return verdict, run.DataOut, err
}

// packet lets one pass: its fate and the server it was sent to.
func (k *kernel) packet(p model.Packet) (model.Fate, netip.AddrPort, error) {
	in := bed.Packet{
		Proto: p.Proto, Flags: p.Flags, Len: 8,
		Src: p.Client.Addr(), Sport: p.Client.Port(), Dst: p.Virtual.Addr(), Dport: p.Virtual.Port(),
	}
	if p.Call != "" {
		in.Payload = bed.Hex("OPTIONS sip:example.com SIP/2.0\r\nCall-ID: " + p.Call + "\r\n\r\n")
	}
	ifindex := k.bed.D0
	if p.Reply {
		ifindex = k.bed.D1
		in.From, in.Src, in.Sport = "server", p.Server.Addr(), p.Server.Port()
		in.Dst, in.Dport = p.Client.Addr(), p.Client.Port()
	}
	frame, err := in.Frame()
	if err != nil {
		return "", netip.AddrPort{}, err
	}
	verdict, out, err := k.run(frame, ifindex)
	if err != nil {
		return "", netip.AddrPort{}, err
	}
	switch verdict {
	case tcUnspec:
		if !bytes.Equal(out, frame) {
			return "", netip.AddrPort{}, fmt.Errorf("a packet that was left to the host was changed: %x", out)
		}
		return model.Host, netip.AddrPort{}, nil
	case tcShot:
		return model.Dropped, netip.AddrPort{}, nil
	case tcRedirect:
		return k.sent(p, out)
	}
	return "", netip.AddrPort{}, fmt.Errorf("verdict %d of tc", verdict)
}

// counted finds out by what destinations have counted who was just sent a packet: the
// zero value if nobody was.
func (k *kernel) counted() (netip.AddrPort, error) {
	services, err := k.bed.Table().Services()
	if err != nil {
		return netip.AddrPort{}, err
	}
	for _, s := range services {
		for _, d := range s.Destinations {
			if d.Stats.InPackets != k.packets[counter{s.ServiceKey, d.Addr}] {
				return d.Addr, nil
			}
		}
	}
	return netip.AddrPort{}, nil
}

// sent reads off a frame where it went.
func (k *kernel) sent(p model.Packet, frame []byte) (model.Fate, netip.AddrPort, error) {
	seen, err := bed.Parse(frame)
	if err != nil {
		return "", netip.AddrPort{}, err
	}
	icmp := seen.Proto == 1 || seen.Proto == 58
	switch {
	case icmp && seen.Dst.Addr() == p.Client.Addr():
		return model.Refused, netip.AddrPort{}, nil
	case p.Reply && seen.Src == p.Virtual && seen.Dst == p.Client:
		return model.Sent, netip.AddrPort{}, nil
	case p.Reply:
		return "", netip.AddrPort{}, fmt.Errorf("it left as %s, to %s", seen, seen.To)
	case seen.Dst.Addr() != p.Virtual.Addr() && seen.Src == p.Client: // masquerading
		return model.Sent, seen.Dst, nil
	case seen.To.IsValid():
	case seen.Dst.Addr() != p.Virtual.Addr(): // a tunnel
		seen.To = seen.Dst.Addr()
	default: // once a second it leaves by the kernel's table of neighbours, which has the address
		to, err := k.counted()
		if err != nil {
			return "", netip.AddrPort{}, err
		}
		seen.To = to.Addr()
	}
	// Direct routing keeps the port, and so does what goes through a tunnel.
	return model.Sent, netip.AddrPortFrom(seen.To, p.Virtual.Port()), nil
}
