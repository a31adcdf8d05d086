package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/evs-project/evs/internal/hostnet"
)

// setupCommand is what would set the server up as it should be.
func (f ServerFacts) setupCommand() string {
	words := []string{"evs realserver setup"}
	for _, vip := range f.VIPs {
		words = append(words, "--vip", vip.String())
	}
	words = append(words, "--method", "tunnel", "--tun-type", f.Tunnel)
	if f.Tunnel == "gue" {
		words = append(words, "--tun-port", strconv.Itoa(int(f.Port)))
	}
	for _, iface := range f.Server.Interfaces {
		words = append(words, "--interface", iface)
	}
	return strings.Join(words, " ")
}

// tunnelEnds finds VIPs whose packets nobody takes out of tunnels.
func tunnelEnds(f ServerFacts) []Finding {
	if f.Method != "tunnel" {
		return nil
	}
	return f.each(func(vip netip.Addr) []Finding {
		byKernel := f.kernelFault(vip)
		if byKernel == "" {
			return nil
		}
		byEVS := f.decapFault(vip)
		if byEVS == "" {
			return nil
		}
		cure, problem := f.setupCommand(), byEVS
		if device, down := strings.CutPrefix(byKernel, "down "); down && f.Decap == nil {
			cure, problem = "ip link set "+device+" up", "the kernel's device "+device+" is down"
		}
		return one(vip, cure, "packets for it are not taken out of %s: %s", f.Tunnel, problem)
	})
}

// decapFault says why EVS's decapsulator does not do it, "" if it does.
func (f ServerFacts) decapFault(vip netip.Addr) string {
	d := f.Decap
	switch {
	case d == nil:
		return "the kernel has no device for it, and EVS's decapsulator is not there"
	case !slices.Contains(d.Kinds, f.Tunnel):
		return "the decapsulator takes out " + strings.Join(d.Kinds, ", ") + " only"
	case f.Tunnel == "gue" && d.Port != f.Port:
		return fmt.Sprintf("the decapsulator expects GUE on UDP port %d, not %d", d.Port, f.Port)
	case !slices.Contains(d.VIPs, vip):
		return "the decapsulator does not know the VIP"
	case !f.hasOneOf(d.Locals):
		return "the decapsulator expects tunnels for addresses that the host has no more"
	}
	arrivals, known := f.arrivals()
	for _, a := range d.Attachments {
		if len(a.Doors) > 0 && (!known || slices.Contains(arrivals, a.Interface)) {
			return ""
		}
	}
	return "the decapsulator is not attached to " + strings.Join(arrivals, ", ")
}

func (f ServerFacts) hasOneOf(addrs []netip.Addr) bool {
	there := f.Locals(f.VIPs)
	return slices.ContainsFunc(addrs, func(a netip.Addr) bool { return slices.Contains(there, a) })
}

// kernelFault says why the kernel's devices do not do it, "" if they do;
// "down NAME" if one would but is down.
func (f ServerFacts) kernelFault(vip netip.Addr) string {
	if f.Tunnel == "gue" && !slices.ContainsFunc(f.Fou, func(c hostnet.Change) bool { return c.Name == strconv.Itoa(int(f.Port)) }) {
		return "no port"
	}
	fault := "no device"
	for _, l := range f.Links {
		if !hostnet.TakesOut(l.Type, f.Tunnel, vip) {
			continue
		}
		if l.Up {
			return ""
		}
		fault = "down " + l.Name
	}
	return fault
}

// Every link of IPv6 carries so much, and of IPv4 every host takes so much.
const (
	least6 = 1280
	least4 = 576
)

// outerBytes are what a tunnel adds over IPv4, over IPv6 it is 20 more.
var outerBytes = map[string]int{"ipip": 20, "gre": 28, "gue": 40}

// tunnelMTU finds interfaces that cannot even carry the least in a tunnel. That a
// whole packet of the client's does not fit is no fault of the server's: the
// director tells the client.
func tunnelMTU(f ServerFacts) (found []Finding) {
	if f.Method != "tunnel" {
		return nil
	}
	least := least4
	if slices.ContainsFunc(f.VIPs, netip.Addr.Is6) {
		least = least6
	}
	arrivals, _ := f.arrivals()
	for _, name := range arrivals {
		if l, ok := f.Link(name); ok && l.MTU > 0 && l.MTU-outerBytes[f.Tunnel] < least {
			want := least + outerBytes[f.Tunnel] + 20
			found = append(found, one(name, fmt.Sprintf("ip link set %s mtu %d", name, max(want, 1500)),
				"its MTU of %d leaves less than %d bytes for a packet in a tunnel", l.MTU, least)...)
		}
	}
	return found
}
