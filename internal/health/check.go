package health

import (
	"context"
	"net/netip"
	"time"
)

// A Checker asks one target once. It returns when it knows, and no later than
// shortly after its time is over: the spec's timeout, or the context's if that is
// earlier. It may be used again, but not twice at once.
type Checker interface {
	Check(ctx context.Context) Result
}

// A Result is what one check found.
type Result struct {
	// Up says that the target is well.
	Up bool
	// Void says that this host, not the target, was at fault: too few sockets, an
	// interface that is gone. Nothing follows for the target.
	Void bool
	// Detail is the cause in a few words: "connection refused".
	Detail string
	// Latency is how long the check took.
	Latency time.Duration
	// Weight is the weight that the target is to have, where a dynamic check
	// says so; nil leaves it as it is configured.
	Weight *int
}

// A Target is the destination that a check is about.
type Target struct {
	// Addr is the destination's address and port, VIP those of its service.
	Addr netip.AddrPort
	VIP  netip.AddrPort
	// Weight is the destination's configured weight, on which file with a
	// number builds.
	Weight int
	// Path is the way of checks via the VIP.
	Path Path
}

// A Path leads a check to the VIP at one particular destination: what a socket with
// Mark sends to the VIP, the data path gives to that destination, by the forwarding
// method of the service (ipvs.Table.ProbeMarks). Source is an address of the
// director, another than the VIP, that the server can answer; without one, that is
// the one it would ask the server itself from.
type Path struct {
	Mark   uint32
	Source netip.Addr
}
