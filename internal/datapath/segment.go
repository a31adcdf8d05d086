package datapath

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/hostnet"
)

// The pair of interfaces that cuts packets before they are wrapped with a
// checksum (bpf/segment.h): they go out of cutOut and come in by cutIn.
const (
	cutOut = "evs-cut0"
	cutIn  = "evs-cut1"
)

// cutMAC is what bpf/segment.h sends to.
var cutMAC = net.HardwareAddr{0x02, 0x45, 0x56, 0x53, 0x63, 0x02}

// cutMTU is more than any packet has: the pair cuts to the size that the packet's
// sender chose.
const cutMTU = 65535

// checked reports whether packets to a destination are wrapped with a checksum.
func (d *Dst) checked() bool {
	switch d.Tunnel {
	case uint8(controlTunnelTUNNEL_GRE):
		return d.TunnelFlags&uint8(controlTunnelFlagsTUNNEL_CSUM) != 0
	case uint8(controlTunnelTUNNEL_GUE):
		return d.TunnelFlags != 0
	}
	return false
}

// needCutter sees to it that the pair is there, attached, and known to the data
// path.
func (t *Table) needCutter() error {
	in, err := netlink.LinkByName(cutIn)
	if err == nil && atomic.LoadUint32(&t.Settings().CutIn) == uint32(in.Attrs().Index) {
		return nil
	}
	if err := t.addCutter(); err != nil {
		return fmt.Errorf("interfaces %s and %s, which cut packets for tunnels with a checksum: %w; is the kernel module veth there (modprobe veth)?", cutOut, cutIn, err)
	}
	return t.attachAll(nobody)
}

// addCutter makes the pair anew.
func (t *Table) addCutter() error {
	if err := removeCutter(); err != nil {
		return err
	}
	pair := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: cutIn, PeerHardwareAddr: cutMAC}
	pair.Name, pair.MTU = cutOut, cutMTU
	if err := netlink.LinkAdd(pair); err != nil {
		return err
	}
	out, err1 := netlink.LinkByName(cutOut)
	in, err2 := netlink.LinkByName(cutIn)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	for _, s := range cutSettings {
		path := filepath.Join("/proc/sys/net", s[0])
		if err := os.WriteFile(path, []byte(s[1]), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	// Without the one it takes nothing larger than the wire's either. The end that
	// sends comes up last: it is ready at once where the other is up already.
	if err := errors.Join(hostnet.SetTxChecksum(cutOut, false), netlink.LinkSetUp(in), netlink.LinkSetUp(out)); err != nil {
		return err
	}
	s := t.Settings()
	atomic.StoreUint32(&s.CutIn, uint32(in.Attrs().Index))
	atomic.StoreUint32(&s.CutOut, uint32(out.Attrs().Index))
	return nil
}

// cutSettings keep the pair silent, and let packets that come in by it be
// forwarded. A host without IPv6 has no such files.
var cutSettings = [][2]string{
	{"ipv6/conf/" + cutOut + "/disable_ipv6", "1"},
	{"ipv6/conf/" + cutIn + "/addr_gen_mode", "1"},
	{"ipv6/conf/" + cutIn + "/forwarding", "1"},
	{"ipv6/conf/" + cutIn + "/accept_ra", "0"},
	{"ipv4/conf/" + cutIn + "/forwarding", "1"},
	{"ipv4/conf/" + cutIn + "/arp_ignore", "8"},
}

// removeCutter takes the pair away, if it is there.
func removeCutter() error {
	link, err := netlink.LinkByName(cutOut)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("interface %s: %w", cutOut, err)
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("interface %s: %w", cutOut, err)
	}
	return nil
}
