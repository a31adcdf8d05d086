package daemon

import (
	"fmt"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/weight"
)

// A word is what an operator says of a server.
type word struct {
	// Drained says that it gets no new connections, and why; "" if nobody says so.
	Drained string
	// Weight takes the place of that of the file, of slow start and of the source.
	Weight *int32
	// Up is what the server is taken for whatever its checks say.
	Up *bool
}

// A condition is what is known of a server, apart from its weight's source.
type condition struct {
	health.Member
	word
}

// conditionOf judges a server by its checks and by what an operator says.
func conditionOf(d config.Destination, states []health.State, w word) condition {
	c := condition{Member: health.Judge(int(d.Weight), states), word: w}
	if w.Weight != nil {
		c.Member.Weight = int(*w.Weight)
	}
	if w.Up != nil {
		c.Member.Up, c.Why = *w.Up, ""
		if !*w.Up {
			c.Why = "an operator says that it is down"
		}
	}
	inhibit := d.Inhibit || viaVIP(d)
	c.Inhibit = &inhibit
	return c
}

// viaVIP says that a check of a server goes by the VIP, so that it has to stay in the
// table: there is no way to one that is not.
func viaVIP(d config.Destination) bool {
	for _, check := range d.Check {
		if check.Via == health.ViaVIP {
			return true
		}
	}
	return false
}

// A standing is what becomes of a server, and why.
type standing struct {
	health.Place
	up     bool          // by its checks, its source and operators
	weight weight.Weight // the controller's
}

// A blended service is what follows for it and for its servers.
type blended struct {
	health.Verdict
	servers []standing
}

// blend is what follows for a service of its rules, what is known of each of its
// servers, and their weights, both in the order of the servers. had says that the
// service had its quorum before; scale is what weights in the table are multiplied by.
// Quorum and hysteresis count weights as configured.
func blend(rules health.Rules, had bool, all []condition, weights []weight.Weight, scale int) blended {
	members := make([]health.Member, len(all))
	for i, c := range all {
		members[i] = c.Member
		w := weights[i]
		switch {
		case w.Reason == weight.Down && c.Member.Up && c.word.Up == nil:
			members[i].Up, members[i].Why = false, told("its source says that it is down", w.Reading.About)
		case c.Drained != "", w.Reason == weight.Drained && c.word.Weight == nil:
			members[i].Weight = 0
		}
	}
	out := blended{Verdict: health.Decide(rules, had, members), servers: make([]standing, len(all))}
	for i, place := range out.Places {
		if place.Listed && place.Weight > 0 {
			place.Weight *= scale
			if members[i].Up && all[i].word.Weight == nil && weights[i].Reason != weight.Down {
				place.Weight = weights[i].Table
			}
		}
		if place.Why == "" {
			place.Why = reason(all[i], weights[i])
		}
		out.Places[i] = place
		out.servers[i] = standing{place, members[i].Up, weights[i]}
	}
	return out
}

// reason is why a server that is up has its weight.
func reason(c condition, w weight.Weight) string {
	switch {
	case c.Drained != "":
		return c.Drained
	case c.word.Weight != nil:
		return "an operator gives it this weight"
	case w.Reason == weight.Drained:
		return told(w.Reason.About(), w.Reading.About)
	}
	return w.Reason.About()
}

func told(what, about string) string {
	if about == "" {
		return what
	}
	return fmt.Sprintf("%s: %s", what, about)
}
