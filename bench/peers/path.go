package peers

import (
	"context"
	"errors"
	"net/netip"

	"github.com/evs-project/evs/bench/room"
	"github.com/evs-project/evs/internal/hostnet"
)

// Director is who a Path has in its middle.
type Director struct {
	Serve func(context.Context, Service) (Stop, error)
	// Direct says that the server answers past the director: it has the VIP too, and
	// a way of its own to the client.
	Direct bool
}

// A Path is a client, a director and a server in a row.
type Path struct {
	Client, Middle, Server room.Place
	stop                   Stop
}

const (
	clientAddress = "198.51.100.2/24"
	serverAddress = "192.0.2.2/24"
)

// ServerAddr is where the server of every path is.
var ServerAddr = netip.MustParsePrefix(serverAddress).Addr()

// NewPath builds a path whose director serves s. With an error it returns what there is
// to be closed.
func NewPath(ctx context.Context, d Director, s Service) (p *Path, err error) {
	p = &Path{stop: func() error { return nil }}
	p.Client, p.Middle, p.Server = room.Nowhere(), room.Nowhere(), room.Nowhere()
	for _, place := range []*room.Place{&p.Client, &p.Middle, &p.Server} {
		if *place, err = room.NewPlace(); err != nil {
			return p, err
		}
	}
	if err := p.wire(ctx, d, s); err != nil {
		return p, err
	}
	return p, p.Middle.Do(func() error {
		stop, err := d.Serve(ctx, s)
		if err == nil {
			p.stop = stop
		}
		return err
	})
}

func (p *Path) wire(ctx context.Context, d Director, s Service) error {
	client, server := end(clientAddress, "198.51.100.1"), end(serverAddress, "192.0.2.1")
	err := p.Middle.Do(func() error {
		return errors.Join(
			hostnet.AddVeth("outside", "eth0", p.Client.Descriptor(), 0),
			hostnet.AddVeth("inside", "eth0", p.Server.Descriptor(), 0))
	})
	if err == nil && d.Direct {
		err = p.Client.Do(func() error { return hostnet.AddVeth("back", "back", p.Server.Descriptor(), 0) })
		client, server = direct(client, server, s.VIP.Addr())
	}
	if err != nil {
		return err
	}
	return errors.Join(
		p.Client.Settle(ctx, func(hostnet.Facts) hostnet.Want { return client }),
		p.Server.Settle(ctx, func(hostnet.Facts) hostnet.Want { return server }),
		p.Middle.Settle(ctx, between(s.VIP.Addr())))
}

// Close ends the path and who serves in it.
func (p *Path) Close() error {
	err := p.stop()
	return errors.Join(err, p.Client.Close(), p.Middle.Close(), p.Server.Close())
}

// end is what a client or a server has.
func end(address, gateway string) hostnet.Want {
	return hostnet.Want{
		Up:        []string{"lo", "eth0"},
		Addresses: []hostnet.InterfaceAddress{{Iface: "eth0", Prefix: netip.MustParsePrefix(address)}},
		Routes:    []hostnet.Route{{To: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr(gateway)}},
	}
}

// direct gives the server the VIP, and a way of its own to the client.
func direct(client, server hostnet.Want, vip netip.Addr) (hostnet.Want, hostnet.Want) {
	client.Up, server.Up = append(client.Up, "back"), append(server.Up, "back")
	client.Addresses = append(client.Addresses, hostnet.InterfaceAddress{Iface: "back", Prefix: netip.MustParsePrefix("203.0.113.129/25")})
	client.Sysctl = hostnet.Values{hostnet.InterfaceKey("ipv4", "back", "rp_filter"): "2"} // loose
	server.Addresses = append(server.Addresses,
		hostnet.InterfaceAddress{Iface: "back", Prefix: netip.MustParsePrefix("203.0.113.130/25")},
		hostnet.InterfaceAddress{Iface: "lo", Prefix: netip.PrefixFrom(vip, 32)})
	server.Routes = append(server.Routes, hostnet.Route{To: netip.MustParsePrefix("198.51.100.0/24"), Via: netip.MustParseAddr("203.0.113.129")})
	return client, server
}

// between is what a director has.
func between(vip netip.Addr) func(hostnet.Facts) hostnet.Want {
	return func(have hostnet.Facts) hostnet.Want {
		ifaces := []string{"outside", "inside"}
		want := hostnet.Director(have, ifaces, true)
		want.Up = append(ifaces, "lo")
		want.Addresses = []hostnet.InterfaceAddress{
			{Iface: "outside", Prefix: netip.MustParsePrefix("198.51.100.1/24")},
			{Iface: "outside", Prefix: netip.PrefixFrom(vip, 32)},
			{Iface: "inside", Prefix: netip.MustParsePrefix("192.0.2.1/24")},
		}
		return want
	}
}
