package hostnet

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Apply makes the changes in order and stops at the first that fails, or when
// ctx ends. A setting whose interface has vanished is passed over and returned
// in gone. It undoes nothing: the caller knows what to go back to.
func Apply(ctx context.Context, changes []Change) (gone []Change, err error) {
	for _, c := range changes {
		if err := ctx.Err(); err != nil {
			return gone, fmt.Errorf("before `%s`: %w", c.Command(), err)
		}
		err := apply(c)
		if c.Kind == Sysctl && absent(err) {
			gone = append(gone, c)
			continue
		}
		if err != nil && c.Kind == Sysctl {
			return gone, explainWrite(c.Name, c.New, err)
		}
		if err != nil {
			return gone, fmt.Errorf("`%s`: %w", c.Command(), err)
		}
	}
	return gone, nil
}

func apply(c Change) error {
	switch c.Kind {
	case Sysctl:
		// An IPv4 setting of "default" carries over to the interfaces on which
		// nobody ever wrote it. Not writing what is so already keeps them such.
		if now, ok, err := readSysctl(c.Name); err == nil && ok && now == c.New {
			return nil
		}
		return writeSysctl(c.Name, c.New)
	case LinkState:
		return applyLink(c)
	case Address:
		return applyAddress(c)
	case RouteTo:
		return applyRoute(c)
	case Device:
		return applyDevice(c)
	case FouPort:
		return applyFou(c)
	}
	return fmt.Errorf("no such kind of change: %q", c.Kind)
}

func applyLink(c Change) error {
	link, err := netlink.LinkByName(c.Name)
	if err != nil {
		return err
	}
	if c.New == "up" {
		return netlink.LinkSetUp(link)
	}
	return netlink.LinkSetDown(link)
}

func applyAddress(c Change) error {
	link, err := netlink.LinkByName(c.Name)
	if err != nil {
		return err
	}
	if c.Old != "" {
		old, err := parseAddr(c.Old)
		if err != nil {
			return err
		}
		if err := netlink.AddrDel(link, old); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return err
		}
	}
	if c.New == "" {
		return nil
	}
	added, err := parseAddr(c.New)
	if err != nil {
		return err
	}
	return netlink.AddrReplace(link, added)
}

// parseAddr reads an address as a Change has it.
func parseAddr(value string) (*netlink.Addr, error) {
	prefix, lifetime, _ := strings.Cut(value, " ")
	a, err := netlink.ParseAddr(prefix)
	if err == nil && lifetime != "" {
		a.ValidLft = math.MaxUint32 // for ever, while PreferedLft is 0
	}
	return a, err
}

func applyRoute(c Change) error {
	words := strings.Fields(c.New)
	if c.New == "" {
		words = strings.Fields(c.Old)
	}
	to, err := netip.ParsePrefix(c.Name)
	if err != nil {
		return err
	}
	route := netlink.Route{Dst: ipNet(to)}
	for i := 0; i+1 < len(words); i += 2 {
		switch words[i] {
		case "via":
			route.Gw = net.ParseIP(words[i+1])
		case "dev":
			link, err := netlink.LinkByName(words[i+1])
			if err != nil {
				return err
			}
			route.LinkIndex = link.Attrs().Index
		}
	}
	if c.New == "" {
		return netlink.RouteDel(&route)
	}
	return netlink.RouteReplace(&route)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
