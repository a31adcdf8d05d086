package hostnet

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ErrNoTunnelDevice says that the kernel has no device that takes packets out of
// such tunnels.
var ErrNoTunnelDevice = errors.New("this kernel has no such tunnel device")

// devicePrefix begins the names of tunnel ends that setup makes.
const devicePrefix = "evs"

// deviceType says which type of device takes packets of one family out of
// packets of another, for each kind of tunnel. GUE ends at a UDP port; what is in
// it goes on as if it had come by itself.
func deviceType(kind string, outer, inner netip.Addr) string {
	switch {
	case kind == "gre" && outer.Is6():
		return "ip6gre"
	case kind == "gre":
		return "gre"
	case outer.Is6():
		return "ip6tnl"
	case inner.Is6():
		return "sit"
	}
	return "ipip"
}

// TakesOut tells whether a device of some type takes packets for a VIP out of a
// kind of tunnel, over whichever family.
func TakesOut(linkType, kind string, vip netip.Addr) bool {
	for _, outer := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		if linkType == deviceType(kind, outer, vip) {
			return true
		}
	}
	return false
}

// ReadFou lists the UDP ports that the kernel takes GUE out of.
func ReadFou() []Change { return readFou() }

// modules are the kernel's modules behind the types of device.
var modules = map[string]string{
	"ipip": "ipip", "sit": "sit", "ip6tnl": "ip6_tunnel", "gre": "ip_gre", "ip6gre": "ip6_gre",
}

// tunnelEnds lists the devices that a real server needs, by type and local
// address, without doubles.
func (s RealServerSpec) tunnelEnds() (ends []Change) {
	for _, local := range s.Locals {
		var types []string
		for _, vip := range s.VIPs {
			if t := deviceType(s.Tunnel, local, vip); !slices.Contains(types, t) {
				types = append(types, t)
			}
		}
		for _, t := range types {
			value := fmt.Sprintf("type %s local %s", t, local)
			if t == "ip6tnl" {
				value += " mode any"
			}
			if s.Csum && s.Tunnel == "gre" {
				value += " icsum"
			}
			ends = append(ends, Change{Kind: Device, Name: devicePrefix + strconv.Itoa(len(ends)), New: value})
		}
	}
	return ends
}

// devices adds the kernel's tunnel ends to what is wanted.
func (s RealServerSpec) devices(want *Want, have Facts) {
	var names []string
	for _, end := range s.tunnelEnds() {
		want.Made = append(want.Made, end)
		names = append(names, end.Name)
	}
	if s.Tunnel == "gue" {
		want.Made = append(want.Made, s.fouPorts()...)
	}
	want.Up = append(want.Up, names...)
	// Even the loose check drops what comes in by a device without an address.
	if i := slices.IndexFunc(s.VIPs, netip.Addr.Is4); i >= 0 {
		for _, name := range names {
			want.Addresses = append(want.Addresses, InterfaceAddress{Iface: name, Prefix: netip.PrefixFrom(s.VIPs[i], 32)})
		}
	}
	relaxDevices(want, have.Sysctl, names)
}

// fouPorts are the UDP ports for GUE, one a family.
func (s RealServerSpec) fouPorts() (ports []Change) {
	for family, is := range map[string]func(netip.Addr) bool{"gue": netip.Addr.Is4, "-6 gue": netip.Addr.Is6} {
		if slices.ContainsFunc(s.Locals, is) {
			ports = append(ports, Change{Kind: FouPort, Name: strconv.Itoa(int(s.Port)), New: family})
		}
	}
	slices.SortFunc(ports, func(a, b Change) int { return strings.Compare(b.New, a.New) })
	return ports
}

// Modules are those of the kernel that the specification needs if the kernel is
// to take packets out of tunnels.
func (s RealServerSpec) Modules() (names []string) {
	for _, end := range s.tunnelEnds() {
		kind := strings.Fields(end.New)[1]
		if m := modules[kind]; !slices.Contains(names, m) {
			names = append(names, m)
		}
	}
	if s.Tunnel == "gue" {
		names = append(names, "fou")
		if slices.ContainsFunc(s.Locals, netip.Addr.Is6) {
			names = append(names, "fou6")
		}
	}
	return names
}

// KernelHas tells whether the running kernel has a module, loaded, built in, or
// to be loaded. It loads none.
func KernelHas(module string) bool {
	if _, err := os.Stat("/sys/module/" + module); err == nil {
		return true
	}
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	dir := filepath.Join("/lib/modules", unix.ByteSliceToString(name.Release[:]))
	for _, list := range []string{"modules.dep", "modules.builtin"} {
		b, err := os.ReadFile(filepath.Join(dir, list))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			file, _, _ := strings.Cut(strings.TrimSpace(line), ":")
			base, _, _ := strings.Cut(filepath.Base(file), ".ko")
			if strings.ReplaceAll(base, "-", "_") == module {
				return true
			}
		}
	}
	return false
}

// applyDevice makes a tunnel end, or deletes one.
func applyDevice(c Change) error {
	if c.New == "" {
		link, err := netlink.LinkByName(c.Name)
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			return nil
		}
		if err != nil {
			return err
		}
		return netlink.LinkDel(link)
	}
	link, err := tunnelEnd(c)
	if err != nil {
		return err
	}
	err = netlink.LinkAdd(link)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("%w: use EVS's own decapsulator with --decap evs", ErrNoTunnelDevice)
	}
	return err
}

// tunnelEnd reads "type T local A" and the words that may follow.
func tunnelEnd(c Change) (netlink.Link, error) {
	words := strings.Fields(c.New)
	if len(words) < 4 {
		return nil, fmt.Errorf("device %s: %q", c.Name, c.New)
	}
	local, err := netip.ParseAddr(words[3])
	if err != nil {
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = c.Name
	any4, any6 := netip.IPv4Unspecified().AsSlice(), netip.IPv6Unspecified().AsSlice()
	switch words[1] {
	case "ipip":
		return &netlink.Iptun{LinkAttrs: attrs, Local: local.AsSlice(), Remote: any4, Ttl: 64}, nil
	case "sit":
		return &netlink.Sittun{LinkAttrs: attrs, Local: local.AsSlice(), Remote: any4, Ttl: 64}, nil
	case "ip6tnl":
		return &netlink.Ip6tnl{LinkAttrs: attrs, Local: local.AsSlice(), Remote: any6}, nil
	case "gre", "ip6gre":
		gre := &netlink.Gretun{LinkAttrs: attrs, Local: local.AsSlice(), Remote: any4, Ttl: 64}
		if local.Is6() {
			gre.Remote = any6
		}
		if slices.Contains(words, "icsum") {
			gre.IFlags = nl.GRE_CSUM
		}
		return gre, nil
	}
	return nil, fmt.Errorf("device %s: no such type: %q", c.Name, words[1])
}

func isFou(c Change) bool { return c.Kind == FouPort }

func applyFou(c Change) error {
	value := c.New + c.Old // one of them is empty
	port, err := strconv.ParseUint(c.Name, 10, 16)
	if err != nil {
		return err
	}
	family := unix.AF_INET
	if strings.HasPrefix(value, "-6 ") {
		family = unix.AF_INET6
	}
	if c.New == "" {
		return netlink.FouDel(netlink.Fou{Port: int(port), Family: family})
	}
	err = addFou(uint16(port), family)
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("this kernel takes nothing out of UDP: load its modules (modprobe -a fou fou6), or use EVS's own decapsulator: --decap evs")
	}
	return err
}

// addFou asks the kernel to take packets out of GUE at a port. netlink.FouAdd
// also names a protocol, of number 0, which the kernel refuses.
func addFou(port uint16, family int) error {
	id, err := netlink.FouFamilyId()
	if err != nil {
		return err
	}
	request := nl.NewNetlinkRequest(id, unix.NLM_F_ACK)
	request.AddData(&nl.Genlmsg{Command: netlink.FOU_CMD_ADD, Version: 1})
	request.AddData(nl.NewRtAttr(netlink.FOU_ATTR_PORT, []byte{byte(port >> 8), byte(port)}))
	request.AddData(nl.NewRtAttr(netlink.FOU_ATTR_AF, []byte{byte(family)}))
	request.AddData(nl.NewRtAttr(netlink.FOU_ATTR_TYPE, []byte{netlink.FOU_ENCAP_GUE}))
	_, err = request.Execute(unix.NETLINK_GENERIC, 0)
	return err
}

// readFou lists the UDP ports that the kernel takes GUE out of; none where it
// cannot.
func readFou() (ports []Change) {
	for family, value := range map[int]string{unix.AF_INET: "gue", unix.AF_INET6: "-6 gue"} {
		found, err := netlink.FouList(family)
		if err != nil {
			continue // no fou in this kernel, or not loaded
		}
		for _, f := range found {
			if f.EncapType == netlink.FOU_ENCAP_GUE && f.Family == family {
				ports = append(ports, Change{Kind: FouPort, Name: strconv.Itoa(f.Port), New: value})
			}
		}
	}
	return ports
}
