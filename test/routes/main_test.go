package routes

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// byEveryDoor runs a test in a lab for each door, with a service of UDP and TCP
// echo at the VIP, masqueraded to both servers.
func byEveryDoor(t *testing.T, spec lab.Spec, test func(t *testing.T, l *lab.Lab)) {
	for _, door := range []string{"tc", "xdp"} {
		t.Run(door, func(t *testing.T) {
			spec := spec
			spec.Name += "-" + door
			spec.XDP = door == "xdp"
			l := cluster.Up(t, spec)
			serve(t, l, door)
			test(t, l)
		})
	}
}

func serve(t *testing.T, l *lab.Lab, door string) {
	t.Helper()
	cluster.On(t, l, lab.Director, "evs attach --mode "+door+`
		ipvsadm -A -u 203.0.113.10:7 -s rr
		ipvsadm -a -u 203.0.113.10:7 -r 192.0.2.2 -m
		ipvsadm -a -u 203.0.113.10:7 -r 192.0.2.3 -m
		ipvsadm -A -t 203.0.113.10:7 -s rr
		ipvsadm -a -t 203.0.113.10:7 -r 192.0.2.2 -m`)
}

// marked has what comes in by an interface of the director marked before EVS sees it.
func marked(t *testing.T, l *lab.Lab, iface string, mark int32) {
	t.Helper()
	const offset = 8 // of mark in struct __sk_buff
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{
		asm.StoreImm(asm.R1, offset, int64(mark), asm.Word),
		asm.Mov.Imm(asm.R0, -1), // on to the next program
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	err = l.Do(lab.Director, func() error {
		dev, err := netlink.LinkByName(iface)
		if err != nil {
			return err
		}
		first, err := link.AttachTCX(link.TCXOptions{
			Interface: dev.Attrs().Index, Program: p, Attach: ebpf.AttachTCXIngress, Anchor: link.Head(),
		})
		if err == nil {
			t.Cleanup(func() { first.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// vip is where the echo service is.
const vip = "203.0.113.10:7"

// dial connects a client to the service.
func dial(t *testing.T, l *lab.Lab, client int, network string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := l.Dial(lab.ClientNode(client))(ctx, network, vip)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echo sends a datagram or bytes once and wants them back in time.
func echo(c net.Conn, what string, patience time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write([]byte(what)); err != nil {
		return err
	}
	buf := make([]byte, 1500)
	n, err := c.Read(buf)
	if err != nil {
		return err
	}
	if got := string(buf[max(0, n-len(what)):n]); got != what {
		return fmt.Errorf("%q came back for %q", buf[:n], what)
	}
	return nil
}

// received is how many packets an interface of a node has received.
func received(t *testing.T, l *lab.Lab, node, iface string) (packets uint64) {
	t.Helper()
	err := l.Do(node, func() error {
		link, err := netlink.LinkByName(iface)
		if err != nil {
			return err
		}
		packets = link.Attrs().Statistics.RxPackets
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packets
}
