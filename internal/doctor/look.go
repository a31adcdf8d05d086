package doctor

import (
	"context"
	"errors"
	"net/netip"
	"runtime"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/ipvs"
)

// Someone far away stands for clients of whom nothing is known: addresses that
// no host has, so that what leads there is the way to everywhere.
var farAway = map[bool]netip.Addr{
	true:  netip.MustParseAddr("192.88.99.1"), // of a relay that is no more (RFC 7526)
	false: netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
}

// Services are those of the director's table on this host, if it is one.
type Services []ipvs.ServiceInfo

// ReadServices reads the table; a host without one has none.
func ReadServices(ctx context.Context) (Services, error) {
	t, err := ipvs.Open(ctx)
	if err != nil {
		return nil, err
	}
	all, err := t.Services()
	return all, errors.Join(err, t.Close())
}

// LookAtServer collects the facts of the calling thread's network namespace.
// services are those of a table that the host has itself.
func LookAtServer(s Server, services Services) (f ServerFacts, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f = ServerFacts{Server: s, Back: map[netip.Addr]hostnet.Way{}, Own: map[netip.Addr]bool{}, Serves: map[netip.Addr]bool{}}
	if f.Facts, err = hostnet.Read(); err != nil {
		return f, err
	}
	if _, err := f.Interfaces(s.Interfaces); err != nil {
		return f, err
	}
	for _, service := range services {
		f.Serves[service.Addr.Addr()] = true
	}
	if err := f.lookAround(); err != nil {
		return f, err
	}
	if f.Listeners, err = hostnet.Listeners(); err != nil {
		return f, err
	}
	if f.Dropped, err = hostnet.ReversePathDrops(); err != nil {
		return f, err
	}
	if s.Tunnel == "gue" {
		f.Fou = hostnet.ReadFou()
	}
	d, err := datapath.ReadDecap()
	if errors.Is(err, datapath.ErrNoDecap) {
		return f, nil
	}
	if len(d.Kinds) > 0 { // else it only lowers what SYNs announce
		f.Decap = &d
	}
	return f, err
}

// lookAround asks for the ways to clients and to the director.
func (f *ServerFacts) lookAround() (err error) {
	for _, vip := range f.VIPs {
		own, err := hostnet.WayTo(vip, netip.Addr{})
		if err != nil {
			return err
		}
		f.Own[vip] = own.Local
		client := farAway[vip.Is4()]
		if f.Client.IsValid() {
			client = f.Client
		}
		if client.Is4() != vip.Is4() {
			continue
		}
		from := netip.Addr{}
		if own.Local && f.answersItself() {
			from = vip
		}
		if f.Back[vip], err = hostnet.WayTo(client, from); err != nil {
			return err
		}
	}
	if f.Director.IsValid() {
		f.ToDirector, err = hostnet.WayTo(f.Director, netip.Addr{})
	}
	return err
}

// CheckServer says what in a description of a real server cannot be.
func (s Server) CheckServer() error {
	if s.Method == "nat" {
		if len(s.VIPs) == 0 {
			return errors.New("no VIP: name the addresses of the virtual services with --vip")
		}
		return nil
	}
	return s.Check()
}
