package ipvsadm

import (
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/evs-project/evs/ipvs"
)

// memory is a table without a data plane that judges as the kernel does.
type memory struct {
	services []ipvs.ServiceInfo
	conns    []ipvs.Conn
	timeouts ipvs.Timeouts
	daemons  []ipvs.Daemon
	mtu      map[string]int // the interfaces there are
	// broadcasts are the broadcast addresses of their networks.
	broadcasts []netip.Addr
}

func newMemory() *memory {
	return &memory{
		timeouts: ipvs.Timeouts{TCP: 900 * time.Second, TCPFin: 120 * time.Second, UDP: 300 * time.Second},
		mtu:      map[string]int{"lo": 65536, "d0": 1500, "d1": 1500},
		broadcasts: []netip.Addr{
			netip.MustParseAddr("127.255.255.255"),
			netip.MustParseAddr("192.0.2.255"),
			netip.MustParseAddr("203.0.113.255"),
		},
	}
}

func (m *memory) Close() error { return nil }

func (m *memory) Info() (ipvs.Info, error) {
	return ipvs.Info{Version: "1.2.1", ConnTableSize: 4096}, nil
}

func (m *memory) Services() ([]ipvs.ServiceInfo, error) { return m.services, nil }

func (m *memory) find(k ipvs.ServiceKey) int {
	return slices.IndexFunc(m.services, func(s ipvs.ServiceInfo) bool { return s.ServiceKey == k })
}

func (m *memory) Service(k ipvs.ServiceKey) (ipvs.ServiceInfo, error) {
	if i := m.find(k); i >= 0 {
		return m.services[i], nil
	}
	return ipvs.ServiceInfo{}, ipvs.ErrNoService
}

func (m *memory) Conns() iter.Seq2[ipvs.Conn, error] {
	return func(yield func(ipvs.Conn, error) bool) {
		for _, c := range m.conns {
			if !yield(c, nil) {
				return
			}
		}
	}
}

func (m *memory) AddService(s ipvs.Service) error {
	if m.find(s.ServiceKey) >= 0 {
		return ipvs.ErrServiceExists
	}
	if err := s.Validate(); err != nil {
		return err
	}
	m.services = append(m.services, ipvs.ServiceInfo{Service: s})
	return nil
}

func (m *memory) EditService(s ipvs.Service) error {
	i := m.find(s.ServiceKey)
	if i < 0 {
		return ipvs.ErrNoService
	}
	if err := s.Validate(); err != nil {
		return err
	}
	m.services[i].Service = s
	return nil
}

func (m *memory) DeleteService(k ipvs.ServiceKey) error {
	i := m.find(k)
	if i < 0 {
		return ipvs.ErrNoService
	}
	m.services = slices.Delete(m.services, i, i+1)
	return nil
}

func (m *memory) Clear() error {
	m.services = nil
	return nil
}

// destination finds a destination after the checks that come before.
func (m *memory) destination(k ipvs.ServiceKey, d ipvs.Destination) (s *ipvs.ServiceInfo, i int, err error) {
	at := m.find(k)
	if at < 0 {
		return nil, 0, ipvs.ErrNoService
	}
	s = &m.services[at]
	if len(m.daemons) > 0 && ipvs.FamilyOf(d.Addr.Addr()) != s.Family {
		return nil, 0, ipvs.ErrInvalid
	}
	if err := d.Validate(s.Service); err != nil {
		return nil, 0, err
	}
	return s, indexOf(s.Destinations, d.Addr), nil
}

func indexOf(ds []ipvs.DestinationInfo, a netip.AddrPort) int {
	return slices.IndexFunc(ds, func(d ipvs.DestinationInfo) bool { return d.Addr == a })
}

func (m *memory) AddDestination(k ipvs.ServiceKey, d ipvs.Destination) error {
	s, i, err := m.destination(k, d)
	switch {
	case err != nil:
		return err
	case i >= 0:
		return ipvs.ErrDestinationExists
	}
	if err := d.CheckAddr(); err != nil {
		return err
	}
	if slices.Contains(m.broadcasts, d.Addr.Addr()) {
		return ipvs.ErrInvalid
	}
	s.Destinations = slices.Insert(s.Destinations, 0, ipvs.DestinationInfo{Destination: d})
	return nil
}

func (m *memory) EditDestination(k ipvs.ServiceKey, d ipvs.Destination) error {
	s, i, err := m.destination(k, d)
	switch {
	case err != nil:
		return err
	case i < 0:
		return ipvs.ErrNoDestination
	}
	s.Destinations[i].Destination = d
	return nil
}

func (m *memory) DeleteDestination(k ipvs.ServiceKey, a netip.AddrPort) error {
	at := m.find(k)
	if at < 0 {
		return ipvs.ErrNoService
	}
	s := &m.services[at]
	i := indexOf(s.Destinations, a)
	if i < 0 {
		return ipvs.ErrNoDestination
	}
	s.Destinations = slices.Delete(s.Destinations, i, i+1)
	return nil
}

func (m *memory) Zero() error { return nil }

func (m *memory) ZeroService(k ipvs.ServiceKey) error {
	_, err := m.Service(k)
	return err
}

func (m *memory) Timeouts() (ipvs.Timeouts, error) { return m.timeouts, nil }

func (m *memory) SetTimeouts(t ipvs.Timeouts) error {
	for _, f := range []struct{ to, from *time.Duration }{
		{&m.timeouts.TCP, &t.TCP}, {&m.timeouts.TCPFin, &t.TCPFin}, {&m.timeouts.UDP, &t.UDP},
	} {
		if *f.from != 0 {
			*f.to = *f.from
		}
	}
	return nil
}

// Daemons lists the master first, as the kernel does.
func (m *memory) Daemons() ([]ipvs.Daemon, error) {
	daemons := slices.Clone(m.daemons)
	slices.SortFunc(daemons, func(a, b ipvs.Daemon) int { return strings.Compare(b.Role, a.Role) })
	return daemons, nil
}

func (m *memory) StartDaemon(d ipvs.Daemon) error {
	if err := d.Validate(); err != nil {
		return err
	}
	for _, s := range m.services {
		for _, dest := range s.Destinations {
			if ipvs.FamilyOf(dest.Addr.Addr()) != s.Family {
				return ipvs.ErrInvalid
			}
		}
	}
	mtu, ok := m.mtu[d.Interface]
	if !ok {
		return ipvs.ErrNoDevice
	}
	if slices.ContainsFunc(m.daemons, func(o ipvs.Daemon) bool { return o.Role == d.Role }) {
		return ipvs.ErrDaemonRunning
	}
	m.daemons = append(m.daemons, d.WithDefaults(mtu))
	return nil
}

func (m *memory) StopDaemon(role string, _ uint8) error {
	i := slices.IndexFunc(m.daemons, func(o ipvs.Daemon) bool { return o.Role == role })
	if i < 0 {
		return ipvs.ErrNoDaemon
	}
	m.daemons = slices.Delete(m.daemons, i, i+1)
	return nil
}
