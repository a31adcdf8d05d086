package bulk

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/evs-project/evs/bench/peers"
	"github.com/evs-project/evs/bench/room"
	"github.com/evs-project/evs/internal/hostnet"
)

// A path is a client, a director and a server in a row.
type path struct {
	client, director, server room.Place
	stop                     peers.Stop
}

// newPath builds a path whose director does what serve has it do. With an error
// it returns what there is to be closed.
func newPath(ctx context.Context, serve func(context.Context, peers.Service) (peers.Stop, error)) (p *path, err error) {
	p = &path{stop: func() error { return nil }}
	p.client, p.director, p.server = room.Nowhere(), room.Nowhere(), room.Nowhere()
	for _, place := range []*room.Place{&p.client, &p.director, &p.server} {
		if *place, err = room.NewPlace(); err != nil {
			return p, err
		}
	}
	err = p.director.Do(func() error {
		return errors.Join(
			hostnet.AddVeth("outside", "eth0", p.client.Descriptor(), 0),
			hostnet.AddVeth("inside", "eth0", p.server.Descriptor(), 0))
	})
	if err == nil {
		err = errors.Join(
			p.client.Settle(ctx, end("198.51.100.2/24", "198.51.100.1")),
			p.server.Settle(ctx, end("192.0.2.2/24", "192.0.2.1")),
			p.director.Settle(ctx, between))
	}
	if err != nil {
		return p, err
	}
	return p, p.director.Do(func() error {
		stop, err := serve(ctx, peers.Service{VIP: vip, Server: server})
		if err == nil {
			p.stop = stop
		}
		return err
	})
}

// end is what a client or a server has.
func end(address, gateway string) func(hostnet.Facts) hostnet.Want {
	return func(hostnet.Facts) hostnet.Want {
		return hostnet.Want{
			Up:        []string{"lo", "eth0"},
			Addresses: []hostnet.InterfaceAddress{{Iface: "eth0", Prefix: netip.MustParsePrefix(address)}},
			Routes:    []hostnet.Route{{To: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr(gateway)}},
		}
	}
}

// between is what a director has.
func between(have hostnet.Facts) hostnet.Want {
	ifaces := []string{"outside", "inside"}
	want := hostnet.Director(have, ifaces, true)
	want.Up = append(ifaces, "lo")
	want.Addresses = []hostnet.InterfaceAddress{
		{Iface: "outside", Prefix: netip.MustParsePrefix("198.51.100.1/24")},
		{Iface: "outside", Prefix: netip.PrefixFrom(vip.Addr(), 32)},
		{Iface: "inside", Prefix: netip.MustParsePrefix("192.0.2.1/24")},
	}
	return want
}

func (p *path) close() error {
	err := p.stop()
	return errors.Join(err, p.client.Close(), p.director.Close(), p.server.Close())
}

// carry sends over one connection for a while, up to the server or down from it,
// and returns Gbit/s as the receiver saw them.
func (p *path) carry(up bool, long time.Duration) (rate float64, err error) {
	client, server, err := p.connect()
	if err != nil {
		return 0, err
	}
	from, to := client, server
	if !up {
		from, to = server, client
	}
	sending := make(chan error, 1)
	go func() { sending <- room.Anywhere(func() error { return send(from, long) }) }()
	err = room.Anywhere(func() (err error) {
		rate, err = receive(to)
		return err
	})
	return rate, errors.Join(err, <-sending)
}

// connect opens a connection through the director and returns both its ends.
func (p *path) connect() (client, at *net.TCPConn, err error) {
	var l net.Listener
	if err := p.server.Do(func() (err error) {
		l, err = net.Listen("tcp", server.String())
		return err
	}); err != nil {
		return nil, nil, err
	}
	defer l.Close()
	err = p.client.Do(func() error {
		c, err := net.DialTimeout("tcp", vip.String(), patience)
		if err == nil {
			client = c.(*net.TCPConn)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	c, err := l.Accept()
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return client, c.(*net.TCPConn), nil
}
