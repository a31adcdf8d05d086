package ipvsadm

import (
	"context"
	"io"
	"iter"
	"net/netip"

	"github.com/evs-project/evs/ipvs"
)

// Table is the virtual server table as the command uses it. Its errors wrap
// the sentinels of package ipvs.
type Table interface {
	Reader
	Editor
	Tuner
	DaemonKeeper
	io.Closer
}

// Reader is what listings need. Services come in the order in which they were
// made, destinations the newest first.
type Reader interface {
	Info() (ipvs.Info, error)
	Services() ([]ipvs.ServiceInfo, error)
	Service(ipvs.ServiceKey) (ipvs.ServiceInfo, error)
	Conns() iter.Seq2[ipvs.Conn, error]
}

// Editor changes services and their destinations.
type Editor interface {
	ServiceEditor
	DestinationEditor
}

// ServiceEditor changes services.
type ServiceEditor interface {
	AddService(ipvs.Service) error
	EditService(ipvs.Service) error
	DeleteService(ipvs.ServiceKey) error
	Clear() error
}

// DestinationEditor changes the destinations of a service.
type DestinationEditor interface {
	AddDestination(ipvs.ServiceKey, ipvs.Destination) error
	EditDestination(ipvs.ServiceKey, ipvs.Destination) error
	DeleteDestination(ipvs.ServiceKey, netip.AddrPort) error
}

// Tuner changes what concerns the table as a whole.
type Tuner interface {
	Zero() error
	ZeroService(ipvs.ServiceKey) error
	Timeouts() (ipvs.Timeouts, error)
	// SetTimeouts leaves unchanged what is zero.
	SetTimeouts(ipvs.Timeouts) error
}

// DaemonKeeper starts and stops the daemons that synchronise connections.
type DaemonKeeper interface {
	Daemons() ([]ipvs.Daemon, error)
	StartDaemon(ipvs.Daemon) error
	StopDaemon(role string, syncID uint8) error
}

// Opener opens the table of this network namespace.
type Opener func(context.Context) (Table, error)
