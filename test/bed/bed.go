// Package bed is the test bed of the conformance recordings: a director between
// a client side and a server side, as test/conformance describes it, in network
// namespaces of its own. It builds and undoes, injects frames and catches what
// comes out; it never judges.
package bed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/ipvs"
)

// Conns is how many connections the tables of the bed have room for: the least
// that there is, so that tests can fill it.
const Conns = 1

// Bed is one topology with an empty table.
type Bed struct {
	// Client and Server are the far ends of the director's two cables.
	Client, Server *Port
	// D0 and D1 are the indices of the director's interfaces.
	D0, D1 int

	table   *ipvs.Table
	inside  netns.NsHandle // the director
	outside netns.NsHandle // the far ends
}

// New builds a bed whose interfaces are attached by mode. The calling goroutine
// is locked to a thread in the director's namespace until it ends; the bed goes
// with the test.
func New(t *testing.T, mode ipvs.AttachMode) *Bed {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes network namespaces and loads eBPF programs, and needs root: run it with sudo")
	}
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	b := &Bed{inside: netns.None(), outside: netns.None()}
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
	if b.outside, err = emptyNamespace(); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	if b.inside, err = netns.Get(); err != nil {
		return err
	}
	if err := b.wire(); err != nil {
		return err
	}
	if b.table, err = ipvs.OpenSized(context.Background(), Conns); err != nil {
		return err
	}
	return b.table.Attach(mode)
}

// close takes the table out of the kernel; the namespaces end with their last
// thread and descriptor.
func (b *Bed) close() (err error) {
	if b.table != nil {
		_, err = b.table.Unload()
	}
	b.Client.close()
	b.Server.close()
	return errors.Join(err, b.inside.Close(), b.outside.Close())
}

// emptyNamespace makes a namespace that nothing runs in.
func emptyNamespace() (netns.NsHandle, error) {
	type result struct {
		ns  netns.NsHandle
		err error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread() // ends with the thread
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- result{netns.None(), fmt.Errorf("network namespace: %w", err)}
			return
		}
		ns, err := netns.Get()
		made <- result{ns, err}
	}()
	r := <-made
	return r.ns, r.err
}

// Enter puts the calling goroutine into the director's namespace, on a thread
// that ends with it.
func (b *Bed) Enter() error {
	runtime.LockOSThread()
	return netns.Set(b.inside)
}

// Table is the director's table, for the goroutine that made the bed.
func (b *Bed) Table() *ipvs.Table { return b.table }

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

// The topology of the recordings.
var (
	directorClientMAC = net.HardwareAddr{2, 0, 0, 0, 1, 0xfe}
	directorServerMAC = net.HardwareAddr{2, 0, 0, 0, 2, 0xfe}
	clientRouterMAC   = net.HardwareAddr{2, 0, 0, 0, 1, 1}
	clientRouter      = netip.MustParseAddr("192.0.2.253")
	clientNets        = []string{"192.0.2.0/24", "198.51.100.0/25"}
	vips              = "198.51.100.128/25"
	servers           = 64
)

func serverAddr(n int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}) }

func serverMAC(n int) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 2, byte(n)} }

// wire lays the cables and sets the director up.
func (b *Bed) wire() (err error) {
	if b.D0, err = b.cable("d0", directorClientMAC, "c0", clientRouterMAC); err != nil {
		return err
	}
	if b.D1, err = b.cable("d1", directorServerMAC, "r0", serverMAC(1)); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"ipv4/ip_forward":              "1",
		"ipv4/conf/all/rp_filter":      "0",
		"ipv4/conf/default/rp_filter":  "0",
		"ipv4/conf/d0/rp_filter":       "0",
		"ipv4/conf/d1/rp_filter":       "0",
		"ipv4/conf/all/send_redirects": "0",
		"ipv4/conf/d0/send_redirects":  "0",
		"ipv4/conf/d1/send_redirects":  "0",
		"ipv4/icmp_ratelimit":          "0",
		"ipv4/icmp_ratemask":           "0",
		"ipv6/conf/all/disable_ipv6":   "1",
	} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(value), 0); err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
	}
	if err := b.address(); err != nil {
		return err
	}
	if b.Client, err = b.open("c0"); err != nil {
		return err
	}
	b.Server, err = b.open("r0")
	return err
}

// address gives the director its addresses, neighbours and routes.
func (b *Bed) address() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	var errs []error
	errs = append(errs,
		netlink.LinkSetUp(lo),
		addAddr(b.D0, "192.0.2.254/32"),
		addAddr(b.D1, "203.0.113.254/24"),
		addNeighbour(b.D0, clientRouter, clientRouterMAC))
	for n := 1; n <= servers; n++ {
		errs = append(errs, addNeighbour(b.D1, serverAddr(n), serverMAC(n)))
	}
	for _, dst := range clientNets {
		errs = append(errs, netlink.RouteAdd(&netlink.Route{
			LinkIndex: b.D0, Dst: prefix(dst), Gw: clientRouter.AsSlice(), Flags: int(netlink.FLAG_ONLINK),
		}))
	}
	errs = append(errs, netlink.RouteAdd(&netlink.Route{
		LinkIndex: lo.Attrs().Index, Dst: prefix(vips), Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: unix.RT_SCOPE_HOST,
	}))
	return errors.Join(errs...)
}

func prefix(s string) *net.IPNet {
	p := netip.MustParsePrefix(s)
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func addAddr(link int, s string) error {
	a, err := netlink.ParseAddr(s)
	if err != nil {
		return err
	}
	return netlink.AddrAdd(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: link}}, a)
}

func addNeighbour(link int, a netip.Addr, mac net.HardwareAddr) error {
	return netlink.NeighAdd(&netlink.Neigh{
		LinkIndex: link, IP: a.AsSlice(), HardwareAddr: mac, State: netlink.NUD_PERMANENT, Family: unix.AF_INET,
	})
}
