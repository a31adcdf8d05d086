package health

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// usual are rules as the director's file has them if it says nothing.
var usual = OutlierRules{
	Patience: 250 * time.Millisecond, Window: 250 * time.Millisecond, Least: 5, Share: 0.5, MostOut: 0.5,
	For: 10 * time.Second, AtMost: 5 * time.Minute,
}

// A conduct is how a server treats the connections that it is given.
type conduct string

const (
	well    conduct = ""
	cut     conduct = "cut"    // from the network, killed by direct routing
	closes  conduct = "closed" // its port, by masquerading
	frozen  conduct = "frozen" // stopped: its kernel answers
	slow    conduct = "slow"   // answers after 250 ms
	flaky   conduct = "flaky"  // loses six of ten SYNs
	long    conduct = "long"   // has connections that go on for long
	flooded conduct = "flooded"
)

// look is how often the table is looked at.
const look = 100 * time.Millisecond

// A script is a pool in which servers change, each given so many connections a second.
type script struct {
	rate    float64
	rates   map[string]float64
	mostOut float64
	conduct map[string]conduct
	// then are the conducts from a time on.
	then map[time.Duration]map[string]conduct
}

// play runs a script for a time and returns what came of it: who was left out, and
// when, to a tenth of a second.
func (s script) play(rules OutlierRules, servers []string, length time.Duration) string {
	o := NewOutliers(rules)
	counts, parts := map[string]Counts{}, map[string]float64{}
	waiting := map[string][]uint64{} // SYNs of earlier looks that are not answered yet
	is := map[string]conduct{}
	for name, c := range s.conduct {
		is[name] = c
	}
	outs := map[string]Ejection{}
	var said []string
	start := time.Unix(1000, 0)
	for t := time.Duration(0); t < length; t += look {
		for name, c := range s.then[t] {
			is[name] = c
		}
		var seen []Seen
		for _, name := range servers {
			rate := s.rate
			if r, ok := s.rates[name]; ok {
				rate = r
			}
			if _, is := outs[name]; is {
				rate = 0
			}
			parts[name] += rate * look.Seconds()
			n := uint64(parts[name])
			parts[name] -= float64(n)
			waiting[name] = append(waiting[name], n)
			counts[name] = treated(counts[name], is[name], n, waiting[name])
			seen = append(seen, Seen{name, counts[name], true})
		}
		now := map[string]Ejection{}
		for _, e := range o.Look(start.Add(t), seen) {
			if old, ok := outs[e.Name]; !ok || old.Since != e.Since {
				said = append(said, fmt.Sprintf("%v %s out for %v", t, e.Name, e.Until.Sub(e.Since)))
			}
			now[e.Name] = e
		}
		for _, name := range servers {
			if _, was := outs[name]; was {
				if _, still := now[name]; !still {
					said = append(said, fmt.Sprintf("%v %s in", t, name))
				}
			}
		}
		outs = now
	}
	return strings.Join(said, "; ")
}

// treated are the counts of a server after n more connections.
func treated(c Counts, how conduct, n uint64, given []uint64) Counts {
	ago := func(looks int) uint64 {
		if len(given) <= looks {
			return 0
		}
		return given[len(given)-1-looks]
	}
	c.Conns += n
	switch how {
	case well:
		c.Answered, c.Packets = c.Answered+n, c.Packets+5*n
	case cut:
		again := ago(10) + ago(30) // SYNs come again after one and three seconds
		c.Retried, c.Packets = c.Retried+again, c.Packets+n+again
	case closes:
		c.Refused, c.Packets = c.Refused+n, c.Packets+n
	case frozen:
		c.Answered, c.Packets = c.Answered+n, c.Packets+3*n
	case slow:
		c.Answered, c.Packets = c.Answered+ago(2), c.Packets+n+4*ago(2)
	case flaky:
		lost, again := n*6/10, ago(10)*6/10
		c.Answered, c.Retried, c.Packets = c.Answered+n-lost+again, c.Retried+again, c.Packets+5*n
	case long:
		c.Answered, c.Packets = c.Answered+n, c.Packets+3*n+uint64(len(given))/10+2*n
	case flooded:
		c.Answered, c.Packets = c.Answered+n/10, c.Packets+n+4*n/10
	}
	return c
}

func TestAServerThatFailsWhereOthersDoNotIsLeftOut(t *testing.T) {
	three, two, one := []string{"a", "b", "c"}, []string{"a", "b"}, []string{"a"}
	second := func(c map[string]conduct) map[time.Duration]map[string]conduct {
		return map[time.Duration]map[string]conduct{time.Second: c}
	}
	for _, c := range []struct {
		name    string
		servers []string
		script  script
		length  time.Duration
		want    string
	}{
		{"all are well", three, script{rate: 100}, 20 * time.Second, ""},
		{"one is cut off", three, script{rate: 100, then: second(map[string]conduct{"b": cut})}, 5 * time.Second, "1.3s b out for 10s"},
		{"one of few connections is cut off", three, script{rate: 8, then: second(map[string]conduct{"b": cut})}, 5 * time.Second, "1.7s b out for 10s"},
		{"one closes its port", three, script{rate: 100, then: second(map[string]conduct{"b": closes})}, 5 * time.Second, "1.2s b out for 10s"},
		{"one is frozen", three, script{rate: 100, then: second(map[string]conduct{"b": frozen})}, 5 * time.Second, "1.7s b out for 10s"},
		{"one of two is cut off", two, script{rate: 100, then: second(map[string]conduct{"b": cut})}, 5 * time.Second, "1.3s b out for 10s"},
		{"the only one is", one, script{rate: 100, then: second(map[string]conduct{"a": cut})}, 20 * time.Second, ""},
		{"all are: a flood, or the way to all of them", three, script{rate: 100, then: second(map[string]conduct{"a": cut, "b": cut, "c": cut})}, 20 * time.Second, ""},
		{"four of five are, if so many may be", []string{"a", "b", "c", "d", "e"}, script{rate: 100, mostOut: 0.8, then: second(map[string]conduct{"a": cut, "b": closes, "c": frozen, "d": cut})}, 5 * time.Second, "1.2s b out for 10s; 1.3s a out for 10s; 1.3s d out for 10s; 1.7s c out for 10s"},
		{"two of three are, and one at least stays", three, script{rate: 100, then: second(map[string]conduct{"a": cut, "b": cut})}, 5 * time.Second, "1.3s a out for 10s"},
		{"a flood over all", three, script{rate: 1000, then: second(map[string]conduct{"a": flooded, "b": flooded, "c": flooded})}, 20 * time.Second, ""},
		{"one is dead in a flood: its clients begin again", three, script{rate: 1000, conduct: map[string]conduct{"a": flooded, "b": cut, "c": flooded}}, 5 * time.Second, "1.7s b out for 10s"},
		{"one has clients far away", three, script{rate: 100, then: second(map[string]conduct{"b": slow})}, 20 * time.Second, ""},
		{"one loses most SYNs", three, script{rate: 50, then: second(map[string]conduct{"b": flaky})}, 5 * time.Second, "2.2s b out for 10s"},
		{"one is new, with connections that go on", three, script{rate: 20, conduct: map[string]conduct{"b": long}}, 20 * time.Second, ""},
		{"nobody has connections enough to judge by", three, script{rate: 1, then: second(map[string]conduct{"b": cut})}, 4 * time.Second, ""},
		{"others have none to compare with", three, script{rates: map[string]float64{"b": 100}, then: second(map[string]conduct{"b": cut})}, 20 * time.Second, ""},
		{"one that stays dead is out for longer each time", two, script{rate: 100, conduct: map[string]conduct{"b": cut}}, 75 * time.Second,
			"400ms b out for 10s; 10.4s b in; 10.8s b out for 20s; 30.8s b in; 31.2s b out for 40s; 1m11.2s b in; 1m11.6s b out for 1m20s"},
		{"one that was well for as long as it was out begins anew", two, script{rate: 100, conduct: map[string]conduct{"b": cut}, then: map[time.Duration]map[string]conduct{
			5 * time.Second: {"b": well}, 25 * time.Second: {"b": cut}}}, 30 * time.Second, "400ms b out for 10s; 10.4s b in; 25.3s b out for 10s"},
		{"one that fails soon again does not", two, script{rate: 100, conduct: map[string]conduct{"b": cut}, then: map[time.Duration]map[string]conduct{
			5 * time.Second: {"b": well}, 15 * time.Second: {"b": cut}}}, 20 * time.Second, "400ms b out for 10s; 10.4s b in; 15.3s b out for 20s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules := usual
			rules.MostOut = max(rules.MostOut, c.script.mostOut)
			if got := c.script.play(rules, c.servers, c.length); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestTheReasonSaysWhatWasSeen(t *testing.T) {
	o := NewOutliers(usual)
	var got []Ejection
	for i := range uint64(10) {
		got = o.Look(time.Unix(0, int64(i)*int64(look)), []Seen{
			{"a", Counts{Conns: 10 * i, Answered: 10 * i, Packets: 50 * i}, true},
			{"b", Counts{Conns: 10 * i, Packets: 10 * i}, true},
		})
	}
	if want := "100% of its latest 40 connections are unanswered, of those of healthier servers 0%"; len(got) != 1 || !strings.Contains(got[0].Why, "are unanswered, of those of healthier servers 0%") {
		t.Errorf("got %+v, want one as %q", got, want)
	}
}

func TestAServerThatIsNotInIsNotJudged(t *testing.T) {
	o := NewOutliers(usual)
	for i := range uint64(50) {
		got := o.Look(time.Unix(0, int64(i)*int64(look)), []Seen{
			{"a", Counts{Conns: 10 * i, Answered: 10 * i, Packets: 50 * i}, true},
			{"b", Counts{Conns: 10 * i, Packets: 10 * i}, false},
		})
		if len(got) > 0 {
			t.Fatalf("look %d: %+v", i, got)
		}
	}
}
