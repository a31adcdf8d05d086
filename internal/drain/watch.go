package drain

import (
	"context"
	"errors"
	"time"

	"github.com/evs-project/evs/internal/keep"
)

// How often drains are looked at that still go on, and those that have come to an end
// or an override that may be over.
const (
	pace     = time.Second
	lazyPace = 10 * time.Second
)

// Watch carries out the drains of a store, and forgets overrides that are over, until
// ctx is. The table is its own, as a Table is not for concurrent use, and it calls it
// from the calling goroutine. report is called after each round with what failed in it,
// nil for nothing; what failed is tried again in the next.
func Watch(ctx context.Context, s *keep.Store, t Table, report func(error)) {
	eyes := map[string]*Eye{}
	for {
		changed := s.Changed()
		wait, err := round(ctx, s, t, eyes)
		report(err)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-time.After(wait):
		}
	}
}

// round looks at each drain once, and says how long to wait for the next round.
func round(ctx context.Context, s *keep.Store, t Table, eyes map[string]*Eye) (time.Duration, error) {
	_, err := s.Expire(time.Now())
	wait := lazyPace
	if len(s.Overrides(time.Now())) > 0 {
		wait = pace
	}
	drains := s.Drains()
	for _, d := range drains {
		if ctx.Err() != nil {
			return 0, err
		}
		if eyes[d.ID] == nil {
			eyes[d.ID] = &Eye{}
		}
		next, failed := eyes[d.ID].Advance(t, d, time.Now())
		err = errors.Join(err, failed, s.Went(next))
		if next.Phase == keep.Draining || failed != nil {
			wait = pace
		}
	}
	for id := range eyes {
		if !hasID(drains, id) {
			delete(eyes, id)
		}
	}
	return wait, err
}

func hasID(drains []keep.Drain, id string) bool {
	for _, d := range drains {
		if d.ID == id {
			return true
		}
	}
	return false
}
