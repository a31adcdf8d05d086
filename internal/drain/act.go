package drain

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/keep"
	"github.com/evs-project/evs/ipvs"
)

// Table is what a drain looks at and acts on; *ipvs.Table is one.
type Table interface {
	Services() ([]ipvs.ServiceInfo, error)
	Timeouts() (ipvs.Timeouts, error)
	ConnsOf(ipvs.ConnFilter) iter.Seq2[ipvs.Conn, error]
	FlushConns(ipvs.ConnFilter, ipvs.FlushOptions) (ipvs.Flushed, error)
}

// New is a drain that begins.
func New(scope keep.Scope, terms config.Drain, now time.Time) keep.Drain {
	return keep.Drain{
		Scope: scope, Origin: keep.ByOperator, Since: now, Deadline: now.Add(terms.For),
		AtDeadline: terms.AtDeadline, Persistence: terms.Persistence, Phase: keep.Draining, PhaseSince: now,
	}
}

// What looking at each single connection takes is bounded: of the time that passes, one
// part of so many; more of it where it may be that none is left.
const (
	scanShare   = 50
	scanHopeful = 5
)

// Eye looks at the servers of one drain, and remembers what takes long to see.
type Eye struct {
	at      time.Time     // of the last look at each connection
	took    time.Duration // that
	dead    int           // of them, those that do not count
	longest time.Duration // at that time
}

// over are the states of connections that both ends have done with: the server may go,
// though the table remembers them for a while.
var over = map[string]bool{"TIME_WAIT": true, "CLOSE": true, "CLOSED": true}

// silence is for how long a client has said nothing that has closed its end, when the
// server is taken to have closed its own: where answers do not pass the director, that is
// not seen. A server that still sent something would have it acknowledged.
const silence = 30 * time.Second

// dead reports whether a connection does not keep a server from going. fin is the timeout
// of connections one end of which has closed.
func dead(c ipvs.Conn, fin time.Duration) bool {
	unseen := c.Method == ipvs.Route || c.Method == ipvs.Tunnel
	return c.Probe || over[c.State] || unseen && c.State == "FIN_WAIT" && fin-c.Expires >= silence
}

// Look counts. What is over does not count, nor do connections by which checks ask a
// server. A count of 0 is exact; others may be too high between two looks at each
// connection, unless it is wanted exactly.
func (e *Eye) Look(t Table, scope keep.Scope, exactly bool, now time.Time) (Seen, error) {
	services, err := t.Services()
	if err != nil {
		return Seen{}, err
	}
	seen := count(services, scope)
	if seen.Connections == 0 && seen.Destinations > 0 {
		return seen, nil
	}
	share := time.Duration(scanShare)
	if seen.Connections <= e.dead {
		share = scanHopeful
	}
	if exactly || e.at.IsZero() || now.Sub(e.at) >= share*e.took {
		began := time.Now()
		exact, err := e.scan(t, scope)
		if err != nil {
			return Seen{}, err
		}
		e.at, e.took = now, time.Since(began)
		seen.Connections = exact
	} else {
		seen.Connections = max(1, seen.Connections-e.dead)
	}
	seen.Longest = max(0, e.longest-now.Sub(e.at))
	return seen, nil
}

// count adds up what the destinations of the scope say of themselves.
func count(services []ipvs.ServiceInfo, scope keep.Scope) (seen Seen) {
	for _, s := range services {
		for _, d := range s.Destinations {
			if !scope.Covers(s.ServiceKey, d.Addr) {
				continue
			}
			seen.Destinations++
			if d.Weight == 0 {
				seen.Resting++
			}
			seen.Connections += int(d.Active + d.Inactive)
			seen.Templates += int(d.Persistent)
		}
	}
	return seen
}

// scan counts connections one by one.
func (e *Eye) scan(t Table, scope keep.Scope) (conns int, err error) {
	to, err := t.Timeouts()
	if err != nil {
		return 0, err
	}
	e.dead, e.longest = 0, 0
	for c, err := range t.ConnsOf(filter(scope)) {
		switch {
		case err != nil:
			return 0, err
		case c.Template:
		case dead(c, to.TCPFin):
			e.dead++
		default:
			conns++
			e.longest = max(e.longest, c.Expires)
		}
	}
	return conns, nil
}

func filter(scope keep.Scope) ipvs.ConnFilter {
	return ipvs.ConnFilter{Service: scope.Service.ServiceKey, Destination: scope.Server.AddrPort}
}

// templates are the states that only templates have.
var templates = []string{"NONE", "ASSURED"}

// Advance looks at the table and does what is to be done. It returns how the drain has
// gone on: if that fails, not at all.
func (e *Eye) Advance(t Table, d keep.Drain, now time.Time) (keep.Drain, error) {
	seen, err := e.Look(t, d.Scope, d.Phase == keep.Draining && !now.Before(d.Deadline), now)
	if err != nil {
		return d, fmt.Errorf("drain of %s: %w", d.Scope, err)
	}
	next, act := Next(d, seen, now)
	which, how := filter(d.Scope), ipvs.FlushOptions{Templates: true}
	switch act {
	case Wait:
		return next, nil
	case Expel:
		which.States = templates
	case Finish:
		how.Reset = ipvs.ResetBoth
	}
	done, err := t.FlushConns(which, how)
	if err != nil && !errors.Is(err, ipvs.ErrNoService) && !errors.Is(err, ipvs.ErrNoDestination) {
		return d, fmt.Errorf("drain of %s: %w", d.Scope, err)
	}
	next.Progress.Reset += done.Reset
	if act == Finish { // else nothing was there but templates
		next.Progress.Anew += max(0, seen.Connections-done.Reset)
	}
	return next, nil
}
