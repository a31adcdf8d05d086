// Package drain takes servers out of use while clients still have connections to them:
// what is to be done at which time (Next, which is pure), and the act. It changes no
// weights: new connections stop because whoever begins a drain gives the servers weight
// 0, and a drain that finds another weight waits for that.
package drain

import (
	"time"

	"github.com/evs-project/evs/internal/keep"
)

// Seen is what a look at the table found of the destinations that a drain means.
type Seen struct {
	Destinations, Resting int // all of them, and those with weight 0
	Connections           int
	Templates             int // of persistence
	// Longest is how long the last connection lasts unless further packets come, 0 if
	// that was not looked at.
	Longest time.Duration
}

// Act is what is to be done to the connections of the servers.
type Act int

// The acts.
const (
	Wait   Act = iota
	Expel      // end the templates, so that no client is kept to the servers
	Finish     // end all that is left, with a reset to both ends
)

// Next is the drain after a look at a time, and what is to be done. If an act fails, it
// is not to be taken over: the same look then leads to the same act.
func Next(d keep.Drain, seen Seen, now time.Time) (keep.Drain, Act) {
	d.Progress = keep.Progress{At: now, Destinations: seen.Destinations, Resting: seen.Resting,
		Connections: seen.Connections, Longest: seen.Longest.Seconds(),
		Reset: d.Progress.Reset, Anew: d.Progress.Anew}
	if d.Persistence == keep.Respect {
		d.Progress.Templates = seen.Templates
	}
	if seen.Resting < seen.Destinations {
		return d, Wait
	}
	if d.Rested.IsZero() {
		d.Rested = now
	}
	if d.Persistence == keep.Ignore && !d.Expelled {
		d.Expelled = true
		if seen.Templates > 0 {
			return d, Expel
		}
	}
	d.Kept = d.Kept || d.Persistence == keep.Respect && seen.Templates > 0
	if seen.Connections > 0 && !d.Kept {
		d.Progress.Oldest = now.Sub(d.Rested).Seconds()
	}
	return phase(d, seen, now)
}

// phase moves a drain whose servers get no new connections.
func phase(d keep.Drain, seen Seen, now time.Time) (keep.Drain, Act) {
	late := !now.Before(d.Deadline)
	empty := seen.Connections == 0 && (d.Persistence == keep.Ignore || seen.Templates == 0)
	switch {
	case d.Phase == keep.Ended:
	case empty:
		enter(&d, keep.Empty, now)
	case late && d.AtDeadline == keep.Reset:
		enter(&d, keep.Ended, now)
		return d, Finish
	case late:
		enter(&d, keep.Late, now)
	default:
		enter(&d, keep.Draining, now)
	}
	return d, Wait
}

func enter(d *keep.Drain, p keep.Phase, now time.Time) {
	if d.Phase != p {
		d.Phase, d.PhaseSince = p, now
	}
}
