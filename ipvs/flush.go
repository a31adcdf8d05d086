package ipvs

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/internal/nudge"
)

// ConnFilter says which connections are meant: those that agree with all that it
// names. The zero value means every one.
type ConnFilter struct {
	// Service is the virtual service that made them, the zero value any; also one
	// that is not there any more.
	Service ServiceKey
	// Destination is the real server, of whatever port if that is 0.
	Destination netip.AddrPort
	// Client is the network that they come from.
	Client netip.Prefix
	// States are those of States; none means any.
	States []string
}

// States are the names of the states of connections; NONE and ASSURED are those of
// persistence templates.
func States() []string {
	names := append(slices.Clone(datapath.StateNames[:]), stateAssured)
	slices.Sort(names)
	return slices.Compact(names)
}

// Validate reports what no connection can agree with, wrapping ErrInvalid.
func (f ConnFilter) Validate() error {
	for _, s := range f.States {
		if !slices.Contains(States(), s) {
			return fmt.Errorf("%w: state %s: choose of %s", ErrInvalid, s, strings.Join(States(), ", "))
		}
	}
	if f.Client.IsValid() && f.Client != f.Client.Masked() {
		return fmt.Errorf("%w: client %s has bits behind its prefix: write %s", ErrInvalid, f.Client, f.Client.Masked())
	}
	return nil
}

// matches reports whether a connection is meant.
func (f ConnFilter) matches(dp *datapath.Table, r datapath.ConnRecord) bool {
	if f.Service != (ServiceKey{}) {
		id, ok := dp.ServiceOf(r)
		if !ok || keyOf(id) != f.Service {
			return false
		}
	}
	c := connOf(r)
	return (!f.Destination.IsValid() || f.meets(c.Destination)) &&
		(!f.Client.IsValid() || f.Client.Contains(c.Client.Addr())) &&
		(len(f.States) == 0 || slices.Contains(f.States, c.State))
}

// meets reports whether a real server is the one that is meant.
func (f ConnFilter) meets(server netip.AddrPort) bool {
	port := f.Destination.Port()
	return f.Destination.Addr() == server.Addr() && (port == 0 || port == server.Port())
}

// server names the real server that is meant.
func (f ConnFilter) server() string {
	if f.Destination.Port() == 0 {
		return f.Destination.Addr().String()
	}
	return f.Destination.String()
}

// ConnsOf yields the connections alive that f means, in no order.
func (t *Table) ConnsOf(f ConnFilter) iter.Seq2[Conn, error] {
	return func(yield func(Conn, error) bool) {
		err := f.Validate()
		if err == nil {
			err = t.view(func(dp *datapath.Table) error {
				for r, err := range dp.Conns() {
					if err != nil {
						return err
					}
					if f.matches(dp, r) && !yield(connOf(r), nil) {
						return nil
					}
				}
				return nil
			})
		}
		if err != nil {
			yield(Conn{}, err)
		}
	}
}

// ConnReset says who is told that a TCP connection is ended.
type ConnReset int

// Who is told. The server hears of it with the next that either end says: at once, as
// clients are asked to say something.
const (
	ResetNobody ConnReset = iota
	ResetClient
	ResetBoth // the client and the server
)

var endings = map[ConnReset]datapath.Ending{
	ResetNobody: datapath.EndSilently, ResetClient: datapath.ResetClient, ResetBoth: datapath.ResetBoth,
}

// FlushOptions say how connections are ended.
type FlushOptions struct {
	// Templates of persistence are ended too: their clients are scheduled anew.
	Templates bool
	Reset     ConnReset
}

// Flushed says what was ended.
type Flushed struct {
	Connections int // all of them, also those that are reset
	Templates   int
	Reset       int // of the connections
	// Unanswered are those of Reset whose client has said nothing when it was asked
	// to. It is told when it does, as long as the connection stays in state CLOSE.
	Unanswered int
}

// FlushConns ends the connections that f means: they are not in the table any more, and
// what their clients send belongs to none. With a reset they stay in state CLOSE for
// the moment that it takes; FlushConns waits for it, two seconds at most beside the time
// that it takes to ask the clients.
//
// If f names a service or a destination, and there is neither such a one nor a
// connection of it, the answer is ErrNoService or ErrNoDestination.
func (t *Table) FlushConns(f ConnFilter, o FlushOptions) (Flushed, error) {
	var done Flushed
	if err := f.Validate(); err != nil {
		return done, err
	}
	var reset []datapath.ConnRecord
	err := t.editExisting(f.missing(nil, nil), func(dp *datapath.Table) (err error) {
		var silent int
		want := func(r datapath.ConnRecord) bool {
			return (o.Templates || r.Proto&datapath.Template == 0) && f.matches(dp, r)
		}
		silent, done.Templates, reset, err = dp.EndConns(want, endings[o.Reset])
		done.Reset = len(reset)
		done.Connections = silent + done.Reset
		if err == nil && done.Connections+done.Templates == 0 {
			err = f.missing(contents(dp))
		}
		return err
	})
	if err == nil && len(reset) > 0 {
		done.Unanswered, err = t.tellClients(reset)
	}
	return done, err
}

// missing is the error for what f names and services, with destinations, do not have.
func (f ConnFilter) missing(services []Service, servers []netip.AddrPort) error {
	named := func(s Service) bool { return s.ServiceKey == f.Service }
	if f.Service != (ServiceKey{}) && !slices.ContainsFunc(services, named) {
		return fmt.Errorf("%s: %w", f.Service, ErrNoService)
	}
	if f.Destination.IsValid() && !slices.ContainsFunc(servers, f.meets) {
		return fmt.Errorf("%s: %w", f.server(), ErrNoDestination)
	}
	return nil
}

// contents are all services and all destinations.
func contents(dp *datapath.Table) (services []Service, servers []netip.AddrPort) {
	for _, l := range dp.Services() {
		services = append(services, serviceOf(l))
		for _, e := range l.Entries {
			servers = append(servers, addrPort(dp.Dst(e.Dst)))
		}
	}
	return services, servers
}

// How often clients are asked to say something, and how long they are waited for each
// time: longer than it takes until Linux answers such a question again.
const (
	askRounds  = 3
	askLooks   = 6
	askLookGap = 100 * time.Millisecond
)

// tellClients asks the clients of connections that are reset to say something, upon
// which they are told. It returns how many of them did not.
func (t *Table) tellClients(reset []datapath.ConnRecord) (silent int, err error) {
	left := make(map[nudge.Ends]bool, len(reset))
	for _, r := range reset {
		left[endsOf(r)] = true
	}
	for look := 0; look < askRounds*askLooks && len(left) > 0 && t.ctx.Err() == nil; look++ {
		if look%askLooks == 0 {
			if err := nudge.Send(slices.Collect(maps.Keys(left))); err != nil {
				return len(left), err
			}
		}
		time.Sleep(askLookGap)
		if left, err = t.awaiting(left); err != nil {
			return len(left), err
		}
	}
	return len(left), nil
}

// awaiting are those of all whose ends have said nothing yet.
func (t *Table) awaiting(all map[nudge.Ends]bool) (map[nudge.Ends]bool, error) {
	left := map[nudge.Ends]bool{}
	return left, t.view(func(dp *datapath.Table) error {
		for r, err := range dp.Conns() {
			if err != nil {
				return err
			}
			if e := endsOf(r); r.AwaitsReset() && all[e] {
				left[e] = true
			}
		}
		return nil
	})
}

// endsOf are a connection's ends to its client, who is to be asked.
func endsOf(r datapath.ConnRecord) nudge.Ends {
	c := connOf(r)
	return nudge.Ends{From: c.Virtual, To: c.Client}
}
