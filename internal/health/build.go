package health

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A probe asks once, within its context. An error says why the target is not
// well.
type probe func(ctx context.Context) (found, error)

// found is what a probe brings home from a target that is well.
type found struct {
	detail string
	weight *int
	// at is when it was known, where that was before the probe's end.
	at time.Time
}

// New makes the check that s describes of target. It fails where the machine
// lacks something that s names: a file, a user.
func (s Spec) New(target Target) (Checker, error) {
	k, ok := KindOf(s.Kind)
	if !ok {
		return nil, unknownKind(s.Kind)
	}
	s = s.WithDefaults()
	p, err := k.probe(s, target)
	if err != nil {
		return nil, fmt.Errorf("%s check of %v: %w", s.Kind, target.Addr, err)
	}
	return timed{p, time.Duration(s.Timeout)}, nil
}

// timed is the Checker of a probe: it holds it to its time, and tells causes in
// few words.
type timed struct {
	probe   probe
	timeout time.Duration
}

func (t timed) Check(ctx context.Context) Result {
	began := time.Now()
	within, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	f, err := t.probe(within)
	if f.at.IsZero() {
		f.at = time.Now()
	}
	r := Result{Up: err == nil, Detail: f.detail, Weight: f.weight, Latency: f.at.Sub(began)}
	if err != nil {
		r.Detail = Cause(err, t.timeout)
		r.Void = own(err) || ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled)
	}
	return r
}
