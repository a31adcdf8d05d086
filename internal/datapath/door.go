package datapath

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
)

// Mode says which door an interface gets.
type Mode uint32

// The modes.
const (
	ModeAuto = Mode(controlAttachModeMODE_AUTO)
	ModeXDP  = Mode(controlAttachModeMODE_XDP)
	ModeTC   = Mode(controlAttachModeMODE_TC)
	ModeOff  = Mode(controlAttachModeMODE_OFF)
)

var modeNames = [...]string{ModeAuto: "auto", ModeXDP: "xdp", ModeTC: "tc", ModeOff: "off"}

func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return fmt.Sprintf("mode %d", uint32(m))
}

// ParseMode returns the mode called name.
func ParseMode(name string) (Mode, error) {
	if i := slices.Index(modeNames[:], name); i >= 0 {
		return Mode(i), nil
	}
	return 0, fmt.Errorf("mode %q: want auto, xdp or tc", name)
}

// facts are what the choice of a door rests on.
type facts struct {
	Name   string
	Index  int
	Kind   string // of the link: veth, bridge, …; device for hardware
	Driver string // of the hardware, "" for none
	Master string // the bond, team or bridge it is a member of, "" for none
	// Addrs are an address of it for each family that it has any of.
	Addrs map[uint8]Addr
}

// xdpDrivers are the drivers of physical interfaces that run XDP natively and
// take redirected frames.
var xdpDrivers = []string{
	"atlantic", "bnxt_en", "dpaa2-eth", "ena", "fec", "gve", "i40e", "ice",
	"idpf", "igb", "igc", "ixgbe", "ixgbevf", "mana", "mlx4_en", "mlx5_core",
	"mvneta", "mvpp2", "nfp", "qede", "sfc", "stmmac", "thunder-nic",
}

// choice is the door for an interface, and why.
type choice struct {
	XDP    bool
	None   bool // not even tc
	Reason string
}

// choose decides which door an interface gets under a mode.
func choose(f facts, m Mode) choice {
	switch {
	case m == ModeOff:
		return choice{None: true, Reason: "switched off"}
	case f.Name == cutIn:
		return choice{Reason: "it cuts packets for tunnels with a checksum, which is tc's to do"}
	case m == ModeXDP:
		return choice{XDP: true, Reason: "asked for"}
	case m == ModeTC:
		return choice{Reason: "asked for"}
	case f.Master != "":
		// Routes and rules know the master alone, and so does the kernel when
		// it asks who a packet came in by.
		return choice{None: true, Reason: "a member of " + f.Master + ", which has the programs"}
	case f.Driver == "":
		return choice{Reason: f.Kind + ": a virtual interface, tc keeps checksum offload and segmentation"}
	case slices.Contains(xdpDrivers, f.Driver):
		return choice{XDP: true, Reason: "driver " + f.Driver + " runs XDP natively"}
	}
	return choice{Reason: "driver " + f.Driver + " is not known to run XDP natively"}
}

// interfaces returns the Ethernet interfaces of this namespace, lo apart.
func interfaces() ([]facts, error) {
	links, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var all []facts
	for _, l := range links {
		if l.Attrs().EncapType == "ether" && l.Attrs().Name != cutOut {
			f := factsOf(l, addrs)
			f.Master = masterOf(l, links)
			all = append(all, f)
		}
	}
	return all, nil
}

// masterOf is the name of the interface that gets what comes in by a member.
func masterOf(member netlink.Link, links []netlink.Link) string {
	for _, l := range links {
		if l.Attrs().Index == member.Attrs().MasterIndex && slices.Contains([]string{"bond", "team", "bridge"}, l.Type()) {
			return l.Attrs().Name
		}
	}
	return ""
}

func factsOf(l netlink.Link, addrs []netlink.Addr) facts {
	f := facts{Name: l.Attrs().Name, Index: l.Attrs().Index, Kind: l.Type(), Addrs: map[uint8]Addr{}}
	// Where /sys is the host's, a device of its may have the name of a virtual
	// interface here, which has no driver.
	if to, err := os.Readlink(filepath.Join("/sys/class/net", f.Name, "device/driver")); err == nil && f.Kind == "device" {
		f.Driver = filepath.Base(to)
	}
	// The first address of the widest scope, as the kernel would take.
	scopes := map[uint8]int{}
	for _, a := range addrs {
		family, addr := familyOf(a.IP)
		if scope, known := scopes[family]; a.LinkIndex == f.Index && (!known || a.Scope < scope) {
			f.Addrs[family], scopes[family] = addr, a.Scope
		}
	}
	return f
}

func familyOf(ip net.IP) (family uint8, addr Addr) {
	if four := ip.To4(); four != nil {
		copy(addr[:], four)
		return FamilyV4, addr
	}
	return FamilyV6, Addr(ip.To16())
}
