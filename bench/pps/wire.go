package pps

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/evs-project/evs/bench/harness"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/peers"
	"github.com/evs-project/evs/bench/room"
	"github.com/evs-project/evs/internal/hostnet"
)

// The director's interfaces, and the one at either end.
const (
	outside = "outside"
	inside  = "inside"
	far     = "eth0"
)

// gateway is the clients' router, as the director knows it.
const gateway = "192.0.2.2"

// A wire is a client, a director and a server in a row. Whoever stands at an end
// is a generator or a sink; the director has the whole stack.
type wire struct {
	client, director, server room.Place
	clientLink, serverLink   int // of far, there
	outsideLink              int
	kept                     link.Link // the generator
	stop                     peers.Stop
}

// loopback is the index of lo in every namespace; here it is down.
const loopback = 1

// newWire builds a wire whose director does what c has it do; who stands at the ends is
// the caller's business. With an error it returns what there is to be closed.
func newWire(ctx context.Context, scene packet.Scene, c contender, h *harness.Harness) (w *wire, err error) {
	w = &wire{stop: func() error { return nil }}
	w.client, w.director, w.server = room.Nowhere(), room.Nowhere(), room.Nowhere()
	for _, p := range []*room.Place{&w.client, &w.director, &w.server} {
		if *p, err = room.NewPlace(); err != nil {
			return w, err
		}
	}
	if err = w.director.Do(func() error {
		return errors.Join(
			hostnet.AddVeth(outside, far, w.client.Descriptor(), 0),
			hostnet.AddVeth(inside, far, w.server.Descriptor(), 0))
	}); err != nil {
		return w, err
	}
	if w.clientLink, err = w.end(ctx, w.client, scene.Gateway); err != nil {
		return w, fmt.Errorf("the client's end: %w", err)
	}
	if w.serverLink, err = w.end(ctx, w.server, scene.RealMAC); err != nil {
		return w, fmt.Errorf("the server's end: %w", err)
	}
	if err = w.middle(ctx, scene, c); err != nil {
		return w, fmt.Errorf("the director: %w", err)
	}
	err = w.client.Do(func() (err error) {
		w.kept, err = h.Stay(loopback)
		return err
	})
	return w, err
}

// end makes an end of the wire.
func (w *wire) end(ctx context.Context, p room.Place, mac packet.MAC) (index int, err error) {
	err = p.Do(func() error {
		l, err := named(far, mac)
		if err != nil {
			return err
		}
		index = l.Attrs().Index
		return nil
	})
	if err == nil {
		err = p.Settle(ctx, func(hostnet.Facts) hostnet.Want { return hostnet.Want{Up: []string{far}} })
	}
	return index, err
}

// redirectable has the interfaces of a place take what XDP sends to their peers. A
// veth says so only when told while both ends are up.
func redirectable(p room.Place, ifaces ...string) error {
	return p.Do(func() error {
		for _, iface := range ifaces {
			if err := hostnet.SetGRO(iface, true); err != nil {
				return err
			}
		}
		return nil
	})
}

// named gives the interface its address of the wire.
func named(iface string, mac packet.MAC) (netlink.Link, error) {
	l, err := netlink.LinkByName(iface)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", iface, err)
	}
	if err := netlink.LinkSetHardwareAddr(l, mac[:]); err != nil {
		return nil, fmt.Errorf("interface %s: address %x: %w", iface, mac, err)
	}
	return l, nil
}

// middle makes the director: addresses, routes, permanent neighbours, then what c
// serves with.
func (w *wire) middle(ctx context.Context, scene packet.Scene, c contender) error {
	err := w.director.Do(func() error {
		l, err := named(outside, scene.Director)
		if err != nil {
			return err
		}
		w.outsideLink = l.Attrs().Index
		_, err = named(inside, scene.Director)
		return err
	})
	if err != nil {
		return err
	}
	if err := w.director.Settle(ctx, func(have hostnet.Facts) hostnet.Want {
		want := hostnet.Director(have, []string{outside, inside}, true)
		want.Up = []string{"lo", outside, inside}
		want.Addresses = []hostnet.InterfaceAddress{
			{Iface: outside, Prefix: netip.MustParsePrefix("192.0.2.1/24")},
			{Iface: inside, Prefix: netip.MustParsePrefix("203.0.113.129/25")},
		}
		want.Routes = []hostnet.Route{{To: netip.MustParsePrefix("198.51.100.0/24"), Via: netip.MustParseAddr(gateway)}}
		if c.routed {
			want.Routes = append(want.Routes, hostnet.Route{To: netip.PrefixFrom(scene.VIP.Addr(), 32), Via: scene.Server.Addr()})
		} else {
			want.Addresses = append(want.Addresses, hostnet.InterfaceAddress{Iface: outside, Prefix: netip.PrefixFrom(scene.VIP.Addr(), 32)})
		}
		return want
	}); err != nil {
		return err
	}
	if err := errors.Join(redirectable(w.client, far), redirectable(w.server, far), redirectable(w.director, outside, inside)); err != nil {
		return err
	}
	return w.director.Do(func() error {
		if err := errors.Join(
			neighbour(outside, netip.MustParseAddr(gateway), scene.Gateway),
			neighbour(inside, scene.Server.Addr(), scene.RealMAC)); err != nil {
			return err
		}
		if c.serve == nil {
			return nil
		}
		stop, err := c.serve(ctx, peers.Service{VIP: scene.VIP, Server: scene.Server})
		if err == nil {
			w.stop = stop
		}
		return err
	})
}

func neighbour(iface string, ip netip.Addr, mac packet.MAC) error {
	l, err := netlink.LinkByName(iface)
	if err != nil {
		return fmt.Errorf("interface %s: %w", iface, err)
	}
	return room.Neighbour(l, ip, net.HardwareAddr(mac[:]))
}

func (w *wire) close() error {
	err := w.director.Do(w.stop)
	if w.kept != nil {
		err = errors.Join(err, w.kept.Close())
	}
	return errors.Join(err, w.client.Close(), w.director.Close(), w.server.Close())
}
