package daemon

import (
	"log/slog"
	"slices"
	"strings"
	"time"
)

// A Fault is something that fails and is tried again.
type Fault struct {
	What  string
	Err   error
	Since time.Time
	Count int       // how often it has failed in a row
	Next  time.Time // when it is tried again, zero if that is not the loop's to say
}

// faults are those there are, by what fails. Each is logged when it begins, when it
// says something else, and when it is over: whoever reads the log does not meet the
// same line every second.
type faults struct {
	log *slog.Logger
	all map[string]*Fault
}

// The pauses between two tries of something that fails: each is twice the one before.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// note takes down how something went, and returns when to try again what failed.
func (f *faults) note(what string, err error, now time.Time) (next time.Time) {
	is := f.all[what]
	if err == nil {
		if is != nil {
			f.log.Info("is well again", "what", what, "failed", is.Count, "since", is.Since.Format(time.DateTime))
			delete(f.all, what)
		}
		return time.Time{}
	}
	if is == nil {
		is = &Fault{What: what, Since: now}
		f.all[what] = is
	}
	if is.Err == nil || is.Err.Error() != err.Error() {
		for _, line := range strings.Split(err.Error(), "\n") {
			f.log.Error("something is wrong, and is looked at again", "what", what, "error", line)
		}
	}
	is.Err = err
	is.Count++
	is.Next = now.Add(min(firstPause<<min(is.Count-1, 10), lastPause))
	return is.Next
}

// next is when to try again what fails, the zero time if it does not.
func (f *faults) next(what string) time.Time {
	if is := f.all[what]; is != nil {
		return is.Next
	}
	return time.Time{}
}

// forget drops faults that nobody tries any more.
func (f *faults) forget(gone func(what string) bool) {
	for what := range f.all {
		if gone(what) {
			delete(f.all, what)
		}
	}
}

// list are the faults, by name.
func (f *faults) list() []Fault {
	out := make([]Fault, 0, len(f.all))
	for _, is := range f.all {
		out = append(out, *is)
	}
	slices.SortFunc(out, func(a, b Fault) int { return strings.Compare(a.What, b.What) })
	return out
}
