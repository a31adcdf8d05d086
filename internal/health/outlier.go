package health

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// OutlierRules say when a server that fails its clients, as the data path sees it, is
// left out for a while. It is compared with others of its pool: what befalls all of them,
// a flood or slow clients, is no server's fault.
type OutlierRules struct {
	// Patience is the time that an answer to a SYN may take, Window of how long
	// connections are looked at.
	Patience, Window time.Duration
	// Least is how many connections there have to be in a window to judge by.
	Least int
	// Share is the part of connections that has to fail, from 0 to 1.
	Share float64
	// MostOut is the part of the servers that may be left out at once; of two or more
	// servers that is one at least, and never all.
	MostOut float64
	// For is how long a server is left out the first time; each time in a row it is
	// twice as long, up to AtMost. Whoever then stays in as long as it was out begins
	// anew.
	For, AtMost time.Duration
}

// An Ejection is that a server is left out.
type Ejection struct {
	Name         string
	Why          string
	Since, Until time.Time
	// Times is how often that was in a row.
	Times int
}

// Seen is a server as the data path sees it.
type Seen struct {
	Name   string
	Counts Counts
	// In says that it is given connections, as far as anybody else has a say.
	In bool
}

// Outliers judge the servers of a pool by what is seen of them. They are pure: clocks
// are handed in. They are not safe for concurrent use.
type Outliers struct {
	rules   OutlierRules
	servers map[string]*watched
}

// watched is what is remembered of a server.
type watched struct {
	samples []counted // the oldest first
	out     *Ejection
	back    time.Time     // when it was let in again
	last    time.Duration // for how long it was out
	times   int
}

// counted is what was seen at a time.
type counted struct {
	at time.Time
	Counts
}

// NewOutliers makes a judge that has seen nothing yet.
func NewOutliers(rules OutlierRules) *Outliers {
	return &Outliers{rules, map[string]*watched{}}
}

// With is the judge with other rules, and what it remembers. Who is out stays so for its
// time. Of the two only one may be used from then on.
func (o *Outliers) With(rules OutlierRules) *Outliers { return &Outliers{rules, o.servers} }

// A stretch is what happened of late: given are the connections of the window that had
// time to be answered, the rest all that was counted since its beginning.
type stretch struct {
	given uint64
	Counts
}

// A symptom is a way to fail.
type symptom struct {
	// windows is how many of them it takes to see it, least the share from which it
	// is one, whatever the rules say.
	windows time.Duration
	least   float64
	// share is how much of connections show it, of is how many there are to judge by.
	share func(stretch) (share float64, of uint64)
	why   string
}

// part is a share of a number.
func part(n, of uint64) (float64, uint64) {
	return min(float64(n)/float64(max(of, 1)), 1), of
}

// kernelPackets is how many packets a client sends whom the server's kernel answers and
// nobody behind it: a SYN, an ACK, and a request.
const kernelPackets = 3

// symptoms are the ways to fail that can be seen.
var symptoms = []symptom{
	{1, 0, func(s stretch) (float64, uint64) {
		return part(s.given-min(s.Answered+s.Refused, s.given), s.given)
	}, "unanswered"},
	{1, 0, func(s stretch) (float64, uint64) { return part(s.Refused, max(s.Conns, s.Refused)) }, "refused"},
	// A SYN comes again after a second, so some of few are seen late.
	{5, 0, func(s stretch) (float64, uint64) { return part(s.Retried, max(s.Conns, s.Retried)) }, "begun again"},
	// Behind a kernel that answers may also be somebody who is slow.
	{2, 0.7, func(s stretch) (float64, uint64) {
		answered := min(s.Answered, s.Conns)
		least := kernelPackets*answered + (s.Conns - answered) + s.Retried
		more := s.Packets - min(s.Packets, least)
		return 1 - min(2*float64(more)/float64(max(answered, 1)), 1), answered / 2
	}, "answered by its kernel alone"},
}

// Look takes down what is seen of the servers now and returns who is left out, by name.
// It is called often, some times in a Patience.
func (o *Outliers) Look(now time.Time, seen []Seen) []Ejection {
	o.remember(now, seen)
	allowed := o.allowed(len(seen))
	var out []Ejection
	for _, s := range seen {
		if w := o.servers[s.Name]; w.out != nil {
			out = append(out, *w.out)
		}
	}
	for _, c := range o.candidates(now, seen) {
		if len(out) >= allowed {
			break
		}
		out = append(out, o.eject(now, c))
	}
	slices.SortFunc(out, func(a, b Ejection) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// remember takes samples, lets in who was out for its time, and forgets who is gone.
func (o *Outliers) remember(now time.Time, seen []Seen) {
	before := o.servers
	o.servers = make(map[string]*watched, len(seen))
	for _, s := range seen {
		w := before[s.Name]
		if w == nil {
			w = &watched{}
		}
		o.servers[s.Name] = w
		if w.out != nil && !now.Before(w.out.Until) {
			w.last, w.back, w.out, w.samples = w.out.Until.Sub(w.out.Since), now, nil, nil
		}
		if w.out == nil && w.times > 0 && now.Sub(w.back) >= w.last {
			w.times = 0
		}
		if w.out != nil || !s.In {
			w.samples = nil // what comes now is of connections that it had
			continue
		}
		if n := len(w.samples); n > 0 && s.Counts.Conns < w.samples[n-1].Conns {
			w.samples = nil
		}
		w.samples = append(w.samples, counted{now, s.Counts})
		w.samples = w.samples[o.place(w.samples, now, symptomsMost):]
	}
}

// symptomsMost is the most windows that a symptom takes.
const symptomsMost = 5

// place is where in samples the stretch of so many windows begins.
func (o *Outliers) place(samples []counted, now time.Time, windows time.Duration) int {
	return latest(samples, now.Add(-o.rules.Patience-windows*o.rules.Window))
}

// latest is the place of the last sample that was taken by a time, else 0.
func latest(samples []counted, by time.Time) int {
	place := 0
	for i, s := range samples {
		if !s.at.After(by) {
			place = i
		}
	}
	return place
}

// stretch is what happened of a server in so many windows.
func (o *Outliers) stretch(w *watched, now time.Time, windows time.Duration) stretch {
	if len(w.samples) < 2 {
		return stretch{}
	}
	begin := w.samples[o.place(w.samples, now, windows)]
	due := w.samples[latest(w.samples, now.Add(-o.rules.Patience))]
	last := w.samples[len(w.samples)-1]
	return stretch{due.Since(begin.Counts).Conns, last.Since(begin.Counts)}
}

// A candidate is a server that fails where others do not.
type candidate struct {
	name  string
	share float64
	why   string
}

// candidates are who is to be left out, the worst first.
func (o *Outliers) candidates(now time.Time, seen []Seen) (all []candidate) {
	for _, s := range seen {
		worst := candidate{name: s.Name}
		for _, sign := range symptoms {
			share, of := sign.share(o.stretch(o.servers[s.Name], now, sign.windows))
			if of < uint64(o.rules.Least) || share < max(o.rules.Share, sign.least) || share <= worst.share {
				continue
			}
			if others, known := o.others(now, seen, s.Name, sign); known && others <= share/2 {
				worst.share, worst.why = share, fmt.Sprintf("%.0f%% of its latest %d connections are %s, of those of healthier servers %.0f%%", 100*share, of, sign.why, 100*others)
			}
		}
		if worst.share > 0 {
			all = append(all, worst)
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.share, a.share) })
	return all
}

// others is the share of a symptom with other servers, the healthiest of them that
// together have connections enough to compare with; false if there are none. Were it
// the mean of all, a pool of which most is dead would have no outliers.
func (o *Outliers) others(now time.Time, seen []Seen, but string, sign symptom) (float64, bool) {
	type other struct {
		stretch
		share float64
	}
	var all []other
	for _, s := range seen {
		if s.Name != but {
			is := o.stretch(o.servers[s.Name], now, sign.windows)
			if share, of := sign.share(is); of > 0 {
				all = append(all, other{is, share})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b other) int { return cmp.Compare(a.share, b.share) })
	var sum stretch
	for _, is := range all {
		sum.given += is.given
		sum.Counts = sum.Plus(is.Counts)
		if share, of := sign.share(sum); of >= 2*uint64(o.rules.Least) {
			return share, true
		}
	}
	return 0, false
}

// allowed is how many of so many servers may be out.
func (o *Outliers) allowed(servers int) int {
	return min(max(int(o.rules.MostOut*float64(servers)), 1), servers-1)
}

func (o *Outliers) eject(now time.Time, c candidate) Ejection {
	w := o.servers[c.name]
	long := min(o.rules.For<<min(w.times, 20), o.rules.AtMost)
	w.times++
	w.samples = nil
	w.out = &Ejection{Name: c.name, Why: c.why, Since: now, Until: now.Add(long), Times: w.times}
	return *w.out
}
