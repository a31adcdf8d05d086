package api

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/keep"
)

// Duration is written with its unit: 500ms, 10m, 1h30m.
type Duration = health.Duration

// DrainRequest asks for servers to be drained. What it leaves out is as the file says
// of the first of them.
type DrainRequest struct {
	keep.Scope  `json:",inline"`
	For         *Duration `json:"for,omitempty" about:"how long connections may take to end: 10m"`
	AtDeadline  string    `json:"atDeadline,omitempty" one:"leave reset" about:"what becomes of those left: leave, or reset, which tells both ends of TCP and schedules UDP anew"`
	Persistence string    `json:"persistence,omitempty" one:"respect ignore" about:"whether clients that are kept to the server may still open connections"`
}

// Over are the terms of the request, laid over those of the file.
func (r DrainRequest) Over(file config.Drain) config.Drain {
	if r.For != nil {
		file.For = time.Duration(*r.For)
	}
	file.AtDeadline, file.Persistence = cmp.Or(r.AtDeadline, file.AtDeadline), cmp.Or(r.Persistence, file.Persistence)
	return file
}

// Check says what is wrong with the request.
func (r DrainRequest) Check() error {
	return errors.Join(
		serverNamed(r.Scope),
		notNegative("for", r.For),
		oneOf("atDeadline", r.AtDeadline, "", keep.Leave, keep.Reset),
		oneOf("persistence", r.Persistence, "", keep.Respect, keep.Ignore),
	)
}

// OverrideRequest asks for a weight or a state in place of what the director finds.
type OverrideRequest struct {
	keep.Scope `json:",inline"`
	Weight     *int32     `json:"weight,omitempty" min:"0" about:"the weight, in units of the file, in place of that of the file, of slow start and of the weight source"`
	State      keep.State `json:"state,omitempty" one:"up down" about:"what the server is taken for whatever its checks say"`
	Why        string     `json:"why,omitempty" about:"a remark for people"`
	For        *Duration  `json:"for,omitempty" about:"for how long; until it is ended by hand if left out"`
}

// maxWhy bounds a remark.
const maxWhy = 200

// Check says what is wrong with the request.
func (r OverrideRequest) Check() error {
	err := errors.Join(serverNamed(r.Scope), notNegative("for", r.For), oneOf("state", string(r.State), "", string(keep.Up), string(keep.Down)))
	if r.Weight == nil && r.State == "" {
		err = errors.Join(err, errors.New("nothing is overridden: name weight, state or both"))
	}
	if r.Weight != nil && *r.Weight < 0 {
		err = errors.Join(err, fmt.Errorf("weight %d: choose 0 at least", *r.Weight))
	}
	if len(r.Why) > maxWhy {
		err = errors.Join(err, fmt.Errorf("why has %d bytes: write %d at most", len(r.Why), maxWhy))
	}
	return err
}

func (r OverrideRequest) override(now time.Time) keep.Override {
	o := keep.Override{Scope: r.Scope, Weight: r.Weight, State: r.State, Why: r.Why, Since: now}
	if r.For != nil {
		o.Until = now.Add(time.Duration(*r.For))
	}
	return o
}

func serverNamed(s keep.Scope) error {
	if !s.Server.IsValid() {
		return errors.New("no server is named: write server, as 192.0.2.2:8080 or without a port")
	}
	return nil
}

func notNegative(name string, d *Duration) error {
	if d != nil && *d < 0 {
		return fmt.Errorf("%s %v: choose 0s at least", name, *d)
	}
	return nil
}

func oneOf(name, word string, words ...string) error {
	for _, w := range words {
		if word == w {
			return nil
		}
	}
	return fmt.Errorf("%s %q: choose one of %q", name, word, words[1:])
}
