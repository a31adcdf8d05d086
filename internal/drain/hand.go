package drain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evs-project/evs/internal/keep"
	"github.com/evs-project/evs/ipvs"
)

// Weights is a table whose weights nobody else looks after; *ipvs.Table is one.
type Weights interface {
	Services() ([]ipvs.ServiceInfo, error)
	EditDestination(ipvs.ServiceKey, ipvs.Destination) error
}

// Edit is a change of a weight by hand.
type Edit struct {
	Service  ipvs.ServiceKey
	Server   ipvs.Destination
	From, To int32
}

// String is a line for people.
func (e Edit) String() string {
	return fmt.Sprintf("%s of %s: weight %d -> %d", e.Server.Addr, e.Service, e.From, e.To)
}

// ErrNever says that a server has had no other weight than 0.
var ErrNever = errors.New("it has never had another weight than 0")

// Rest gives the servers of a scope weight 0, all or none.
func Rest(t Weights, scope keep.Scope) ([]Edit, error) {
	return edit(t, scope, func(ipvs.DestinationInfo) (int32, error) { return 0, nil })
}

// Work gives those of them that have weight 0 the weight that they had before, all or
// none. The table itself remembers it.
func Work(t Weights, scope keep.Scope) ([]Edit, error) {
	return edit(t, scope, func(d ipvs.DestinationInfo) (int32, error) {
		if d.Weight == 0 && d.LastWeight == 0 {
			return 0, ErrNever
		}
		return d.LastWeight, nil
	})
}

func edit(t Weights, scope keep.Scope, weight func(ipvs.DestinationInfo) (int32, error)) (done []Edit, err error) {
	services, err := t.Services()
	if err != nil {
		return nil, err
	}
	found := false
	var all []Edit
	for _, s := range services {
		for _, d := range s.Destinations {
			if !scope.Covers(s.ServiceKey, d.Addr) {
				continue
			}
			found = true
			to, err := weight(d)
			if err != nil {
				return nil, fmt.Errorf("%s of %s: %w", d.Addr, s.ServiceKey, err)
			}
			if to != d.Weight {
				all = append(all, Edit{s.ServiceKey, d.Destination, d.Weight, to})
			}
		}
	}
	if !found {
		return nil, fmt.Errorf("%s: %w", scope, ipvs.ErrNoDestination)
	}
	for _, e := range all {
		if err := set(t, e, e.To); err != nil {
			for _, back := range done {
				err = errors.Join(err, set(t, back, back.From))
			}
			return nil, err
		}
		done = append(done, e)
	}
	return done, nil
}

func set(t Weights, e Edit, weight int32) error {
	e.Server.Weight = weight
	return t.EditDestination(e.Service, e.Server)
}

// ErrEnded says that somebody has ended a drain that was followed: its servers get new
// connections.
var ErrEnded = errors.New("somebody has ended the drain: the servers get new connections again")

// Follow looks at a drain until it has come to an end, and tells how it goes on: each
// time that numbers have changed, and otherwise after some time.
func Follow(ctx context.Context, look func() (keep.Drain, error), after time.Duration, tell func(keep.Drain)) (keep.Drain, error) {
	var told keep.Drain
	for {
		d, err := look()
		if err != nil || d.Phase != keep.Draining {
			return d, err
		}
		was, is := told.Progress, d.Progress
		if !is.At.IsZero() && (was.At.IsZero() || was.Connections != is.Connections || was.Templates != is.Templates || is.At.Sub(was.At) >= after) {
			tell(d)
			told = d
		}
		select {
		case <-ctx.Done():
			return d, ctx.Err()
		case <-time.After(pace):
		}
	}
}

// ByHand is a look, for Follow, that carries the drain out in a table without a director.
func ByHand(t Table, d keep.Drain) func() (keep.Drain, error) {
	var eye Eye
	return func() (keep.Drain, error) {
		next, err := eye.Advance(t, d, time.Now())
		if err == nil && next.Progress.Resting < next.Progress.Destinations {
			err = ErrEnded
		}
		d = next
		return d, err
	}
}
