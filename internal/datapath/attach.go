package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// door is one way a program is attached to an interface. Its links are pinned
// as NAME-IFINDEX.
type door struct {
	name    string
	program string
	attach  func(*ebpf.Program, facts) (link.Link, error)
	// parent is where a filter of tc goes, 0 for a door that is none.
	parent uint32
}

// The doors: tc is on every attached interface, also behind XDP; out is its other
// half, for what the host itself sends.
var (
	tcDoor  = door{name: "tc", program: tcProgEvsTc, attach: attachTC, parent: netlink.HANDLE_MIN_INGRESS}
	outDoor = door{name: "out", program: tcProgEvsTcOut, attach: attachOut, parent: netlink.HANDLE_MIN_EGRESS}
	xdpDoor = door{name: "xdp", program: xdpProgEvsXdp, attach: attachXDP}
)

// withoutTCX makes this kernel count as one without tcx; tests set it.
var withoutTCX bool

func attachTC(p *ebpf.Program, f facts) (link.Link, error) {
	if withoutTCX {
		return nil, ebpf.ErrNotSupported
	}
	return link.AttachTCX(link.TCXOptions{Interface: f.Index, Program: p, Attach: ebpf.AttachTCXIngress})
}

func attachOut(p *ebpf.Program, f facts) (link.Link, error) {
	return link.AttachTCX(link.TCXOptions{Interface: f.Index, Program: p, Attach: ebpf.AttachTCXEgress})
}

func attachXDP(p *ebpf.Program, f facts) (link.Link, error) {
	return link.AttachXDP(link.XDPOptions{Interface: f.Index, Program: p, Flags: link.XDPDriverMode})
}

func (d door) pin(f facts) string { return d.name + "-" + strconv.Itoa(f.Index) }

// attachError says why an interface cannot take a program, and what to do.
func attachError(d door, f facts, err error) error {
	why := ""
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL) && d.name == "xdp":
		why = fmt.Sprintf("its driver does not run XDP: use `evs attach --mode tc %s`", f.Name)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		why = fmt.Sprintf("another program is attached there: see `bpftool net show dev %s`", f.Name)
	case errors.Is(err, unix.ENOSPC):
		why = fmt.Sprintf("its peer has fewer queues: make them equal with `ethtool -L %s`", f.Name)
	case errors.Is(err, unix.ERANGE):
		why = fmt.Sprintf("its MTU is too large for XDP: lower it or use `evs attach --mode tc %s`", f.Name)
	case errors.Is(err, unix.ENODEV):
		why = "it is gone"
	default:
		return fmt.Errorf("interface %s cannot take the %s program: %w", f.Name, d.name, err)
	}
	return fmt.Errorf("interface %s cannot take the %s program: %s (%w)", f.Name, d.name, why, err)
}

// Attachment is the state of one interface.
type Attachment struct {
	Interface string
	Index     int
	// Mode is what was asked for, for the interface or the namespace.
	Mode Mode
	// Doors are those the interface has: "tc", "xdp".
	Doors []string
	// Reason says why it has them.
	Reason string
}

// attacher attaches the programs of one purpose. The caller holds the lock.
type attacher struct {
	dir string // of their pins
	// tc are the doors of tc, the first of which packets come in by.
	tc  []door
	xdp door
	// clsact tells the filters of one purpose from those of another.
	clsact uint16
	// ports: frames may be redirected to interfaces that have the XDP door.
	ports bool
}

// tableAttacher attaches the programs of the table pinned in dir.
func tableAttacher(dir string) attacher {
	return attacher{dir: dir, tc: []door{tcDoor, outDoor}, xdp: xdpDoor, clsact: 0xe5, ports: true}
}

func (a attacher) linkPath(pin string) string { return filepath.Join(a.dir, linksDir, pin) }

// attached reports whether the pinned link is there and still on its interface.
func (a attacher) attached(d door, f facts) bool {
	if d.parent != 0 && a.clsactNoted(f.Index) != "" {
		return true // all filters
	}
	l, err := link.LoadPinnedLink(a.linkPath(d.pin(f)), nil)
	if err != nil {
		return false
	}
	defer l.Close()
	return linkIfindex(l) == uint32(f.Index)
}

// linkIfindex returns 0 for a link whose interface is gone.
func linkIfindex(l link.Link) uint32 {
	info, err := l.Info()
	if err != nil {
		return 0
	}
	if tcx := info.TCX(); tcx != nil {
		return tcx.Ifindex
	}
	if xdp := info.XDP(); xdp != nil {
		return xdp.Ifindex
	}
	return 0
}

// dropLink detaches a pinned link and unpins it. Unpinning alone detaches too,
// but some time later.
func dropLink(path string) error {
	if l, err := link.LoadPinnedLink(path, nil); err == nil {
		_ = l.Detach() // fails where the interface is gone
		l.Close()
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// open attaches a door and pins its link.
func (a attacher) open(d door, f facts) error {
	if a.attached(d, f) {
		return nil
	}
	path := a.linkPath(d.pin(f))
	if err := dropLink(path); err != nil {
		return fmt.Errorf("stale link of %s: %w", f.Name, err)
	}
	p, err := ebpf.LoadPinnedProgram(filepath.Join(a.dir, d.program), nil)
	if err != nil {
		return fmt.Errorf("program of the %s door: %w", d.name, err)
	}
	defer p.Close()
	l, err := d.attach(p, f)
	if errors.Is(err, ebpf.ErrNotSupported) && d.name == a.tc[0].name {
		return a.openClsact(f)
	}
	if err != nil {
		return attachError(d, f, err)
	}
	defer l.Close()
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("pin the %s link of %s: %w", d.name, f.Name, err)
	}
	return nil
}

// shut detaches a door.
func (a attacher) shut(d door, f facts) error {
	if err := dropLink(a.linkPath(d.pin(f))); err != nil {
		return fmt.Errorf("detach %s from %s: %w", d.name, f.Name, err)
	}
	if d.name == a.tc[0].name {
		return a.shutClsact(f.Index)
	}
	return nil
}

// set brings one interface to what its mode asks for. The XDP door comes
// after tc and goes before it, so that no packet meets a closed house. Unless
// strict, tc is enough where the driver refuses XDP.
func (a attacher) set(f facts, m Mode, strict bool) error {
	c := choose(f, m)
	if c.None {
		return errors.Join(a.setXDP(f, false), a.eachTC(a.shut, f))
	}
	if err := a.eachTC(a.open, f); err != nil {
		return err
	}
	err := a.setXDP(f, c.XDP)
	if err != nil && (m == ModeAuto || !strict) {
		return a.setXDP(f, false)
	}
	return err
}

// eachTC does something with all doors of tc.
func (a attacher) eachTC(do func(door, facts) error, f facts) error {
	var errs []error
	for _, d := range a.tc {
		errs = append(errs, do(d, f))
	}
	return errors.Join(errs...)
}

// loopback is where the host's own packets for its own addresses leave: a client
// on the director asks by it. It has the door of what leaves, and no other.
var loopback = facts{Name: "lo", Index: 1}

func (a attacher) setLoopback(m Mode) error {
	a.tc = []door{outDoor}
	if m == ModeOff {
		return a.eachTC(a.shut, loopback)
	}
	return a.eachTC(a.open, loopback)
}

func (a attacher) setXDP(f facts, on bool) error {
	if !a.ports {
		if on {
			return a.open(a.xdp, f)
		}
		return a.shut(a.xdp, f)
	}
	if !on {
		return errors.Join(a.setPort(f, false), a.shut(a.xdp, f))
	}
	if err := a.open(a.xdp, f); err != nil {
		return err
	}
	return a.setPort(f, true)
}

// setPort says whether frames may be redirected to an interface by XDP: in the map of
// all such interfaces, and at its place in that of few where it is found sooner.
func (a attacher) setPort(f facts, on bool) error {
	ports, err := ebpf.LoadPinnedMap(filepath.Join(a.dir, controlMapXdpPorts), nil)
	if err != nil {
		return fmt.Errorf("map of XDP interfaces: %w", err)
	}
	defer ports.Close()
	index := uint32(f.Index)
	if err := a.setPlace(index, on); err != nil {
		return err
	}
	if on {
		return ports.Put(index, uint32(1))
	}
	if err := ports.Delete(index); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("interface %s: %w", f.Name, err)
	}
	return nil
}

func (a attacher) setPlace(index uint32, on bool) error {
	places, err := mapArray[uint64](a.dir, controlMapXdpPlaces)
	if errors.Is(err, os.ErrNotExist) {
		return nil // of programs from before it, which do not look there
	}
	if err != nil {
		return err
	}
	defer places.close()
	place := &places.elems[int(index)%len(places.elems)]
	if on {
		atomic.StoreUint64(place, uint64(index))
	} else {
		atomic.CompareAndSwapUint64(place, uint64(index), 0)
	}
	return nil
}

// doors returns the doors that are open on an interface.
func (a attacher) doors(f facts) []string {
	var open []string
	for _, d := range []door{a.tc[0], a.xdp} {
		if a.attached(d, f) {
			open = append(open, d.name)
		}
	}
	return open
}

// dropStale removes the links of interfaces that are gone.
func (a attacher) dropStale(present []facts) error {
	entries, err := os.ReadDir(filepath.Join(a.dir, linksDir))
	if err != nil {
		return fmt.Errorf("links: %w", err)
	}
	known := map[string]bool{}
	for _, f := range present {
		known[a.clsactNoted(f.Index)] = true
		for _, d := range append([]door{a.xdp}, a.tc...) {
			known[d.pin(f)] = true
		}
	}
	for _, e := range entries {
		if known[e.Name()] || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := errors.Join(a.forgetPort(e.Name()), dropLink(a.linkPath(e.Name()))); err != nil {
			return fmt.Errorf("stale link %s: %w", e.Name(), err)
		}
	}
	return nil
}

// forgetPort takes the interface of a stale XDP link out of those that frames
// are redirected to: another may get its number.
func (a attacher) forgetPort(pin string) error {
	number, ok := strings.CutPrefix(pin, a.xdp.name+"-")
	ifindex, err := strconv.Atoi(number)
	if !ok || err != nil {
		return nil
	}
	return a.setXDP(facts{Index: ifindex, Name: pin}, false)
}
