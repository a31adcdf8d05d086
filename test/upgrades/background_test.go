package upgrades

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/test/bed"
	"github.com/evs-project/evs/test/cluster"
)

// The background are flows of UDP that are sent as fast as asked, so that the director
// has something to do: frames out of the memory that the kernel sends them from, on the
// router's cable to the director. Their server is a name for server1, which has no such
// address and drops them when its interface has counted them.
const (
	backgroundFlows  = 2048
	backgroundPort   = 9001
	backgroundServer = "192.0.2.200"
	serverIface      = "eth0"
	frameRoom        = 256 // bytes of the ring for one frame
	burst            = 256 // frames sent by one call
)

// background sends until it is stopped.
type background struct {
	t      *testing.T
	lab    *lab.Lab
	stop   chan struct{}
	done   chan error
	sent   uint64
	before uint64 // of the sink
	began  time.Time
}

// startBackground begins to send so many packets a second, 0 none.
func startBackground(t *testing.T, l *lab.Lab, rate int) *background {
	t.Helper()
	b := &background{t: t, lab: l, stop: make(chan struct{}), done: make(chan error, 1)}
	if rate == 0 {
		b.done <- nil
		return b
	}
	var to, sink, from netlink.Link
	link := func(node, name string, link *netlink.Link) {
		if err := l.Do(node, func() (err error) { *link, err = netlink.LinkByName(name); return err }); err != nil {
			t.Fatal(err)
		}
	}
	link(lab.Director, lab.DirectorOutsideIface, &to)
	link(lab.ServerNode(1), serverIface, &sink)
	link(lab.Router, "director", &from)
	cluster.On(t, l, lab.Director, fmt.Sprintf(`
		ip neigh replace %s lladdr %v dev %s
		ipvsadm -A -u %s:%d -s rr
		ipvsadm -a -u %s:%d -r %s -m`, backgroundServer, sink.Attrs().HardwareAddr, lab.DirectorInsideIface,
		lab.VIP(4), backgroundPort, lab.VIP(4), backgroundPort, backgroundServer))
	b.before = b.came()
	b.began = time.Now()
	go func() {
		b.done <- l.Do(lab.Router, func() error {
			ring, err := newRing(from, frames(from.Attrs().HardwareAddr, to.Attrs().HardwareAddr))
			if err != nil {
				return err
			}
			defer ring.close()
			return b.send(ring, rate)
		})
	}()
	return b
}

// frames are one of each flow.
func frames(from, to net.HardwareAddr) (all [][]byte) {
	for i := range backgroundFlows {
		p := bed.Packet{
			Proto: "udp", Src: netip.AddrFrom4([4]byte{198, 51, 100, byte(100 + i%100)}), Sport: uint16(10_000 + i),
			Dst: lab.VIP(4), Dport: backgroundPort, Len: 18,
		}
		frame, err := p.Frame()
		if err != nil {
			panic(err) // of constants
		}
		copy(frame, to)
		copy(frame[6:], from)
		all = append(all, frame)
	}
	return all
}

// came is what the sink has counted.
func (b *background) came() (n uint64) {
	b.t.Helper()
	if err := b.lab.Do(lab.ServerNode(1), func() error {
		sink, err := netlink.LinkByName(serverIface)
		if err == nil {
			n = sink.Attrs().Statistics.RxPackets
		}
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	return n
}

// send sends bursts, as many as are due, until it is stopped.
func (b *background) send(ring *ring, rate int) error {
	for {
		select {
		case <-b.stop:
			return nil
		default:
		}
		due := uint64(time.Since(b.began).Seconds() * float64(rate))
		if b.sent+burst > due {
			time.Sleep(200 * time.Microsecond)
			continue
		}
		if err := ring.burst(); err != nil {
			return err
		}
		b.sent += burst
	}
}

// end stops it, and says what was sent and what the sink has counted.
func (b *background) end() {
	b.t.Helper()
	close(b.stop)
	if err := <-b.done; err != nil {
		b.t.Errorf("background: %v", err)
	}
	if b.sent == 0 {
		return
	}
	took := time.Since(b.began).Seconds()
	came := b.came() - b.before
	b.t.Logf("background: %d packets of %d flows, %.0f a second; the sink has counted %.0f a second, with all others", b.sent, backgroundFlows, float64(b.sent)/took, float64(came)/took)
	if came < b.sent/2 {
		b.t.Errorf("only %d of %d packets of the background have come to the sink", came, b.sent)
	}
}

// ring is a ring of frames that the kernel sends from (packet(7)).
type ring struct {
	fd     int
	memory []byte
	next   int
}

func newRing(on netlink.Link, frames [][]byte) (*ring, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	r := &ring{fd: fd}
	const block = 1 << 16
	request := unix.TpacketReq{Block_size: block, Block_nr: uint32(len(frames) * frameRoom / block), Frame_size: frameRoom, Frame_nr: uint32(len(frames))}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1),
		unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_TX_RING, &request),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: unix.ETH_P_IP>>8 | unix.ETH_P_IP&0xff<<8, Ifindex: on.Attrs().Index}))
	if err == nil {
		r.memory, err = unix.Mmap(fd, 0, len(frames)*frameRoom, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("ring of frames: %w", err)
	}
	for i, frame := range frames {
		slot := r.memory[i*frameRoom:]
		binary.NativeEndian.PutUint32(slot[4:], uint32(len(frame))) // tp_len
		copy(slot[unix.SizeofTpacket2Hdr:], frame)
	}
	return r, nil
}

// burst sends the next frames, and returns when they are sent.
func (r *ring) burst() error {
	for range burst {
		binary.NativeEndian.PutUint32(r.memory[r.next*frameRoom:], unix.TP_STATUS_SEND_REQUEST)
		r.next = (r.next + 1) % backgroundFlows
	}
	_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(r.fd), uintptr(unsafe.Pointer(nil)), 0, 0, 0, 0)
	if errno != 0 && errno != unix.ENOBUFS && errno != unix.EAGAIN {
		return errno
	}
	return nil
}

func (r *ring) close() {
	_ = unix.Munmap(r.memory)
	unix.Close(r.fd)
}
