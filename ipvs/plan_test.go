package ipvs_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/evs-project/evs/ipvs"
)

func tcp(addr string) ipvs.ServiceKey { return ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort(addr)) }

func spec(k ipvs.ServiceKey, scheduler string, dests ...ipvs.Destination) ipvs.ServiceSpec {
	return ipvs.ServiceSpec{Service: ipvs.Service{ServiceKey: k, Scheduler: scheduler}, Destinations: dests}
}

func dest(addr string, weight int32) ipvs.Destination {
	return ipvs.Destination{Addr: netip.MustParseAddrPort(addr), Weight: weight}
}

// made is the table that adding the specs one by one makes.
func made(specs ...ipvs.ServiceSpec) []ipvs.ServiceInfo {
	var all []ipvs.ServiceInfo
	for _, w := range specs {
		info := ipvs.ServiceInfo{Service: w.WithDefaults()}
		for _, d := range slices.Backward(w.Destinations) {
			info.Destinations = append(info.Destinations, ipvs.DestinationInfo{Destination: d})
		}
		all = append(all, info)
	}
	return all
}

func TestThePlanIsTheDifferenceAndNoMore(t *testing.T) {
	web, dns, mark := tcp("203.0.113.10:80"), tcp("203.0.113.10:53"), ipvs.ServiceMark(7, ipvs.IPv4)
	a, b, c := dest("192.0.2.2:80", 1), dest("192.0.2.3:80", 1), dest("192.0.2.4:80", 1)
	heavy := dest("192.0.2.2:80", 9)
	for _, test := range []struct {
		name string
		have []ipvs.ServiceInfo
		want []ipvs.ServiceSpec
		plan string
	}{
		{"nothing stays nothing", nil, nil, ""},
		{"what is right stays", made(spec(web, "wrr", a, b)), []ipvs.ServiceSpec{spec(web, "wrr", a, b)}, ""},
		{"a service comes with its destinations", nil, []ipvs.ServiceSpec{spec(web, "wrr", a, b)}, "add TCP 203.0.113.10:80"},
		{"a service goes with its destinations", made(spec(web, "wrr", a, b)), nil, "remove TCP 203.0.113.10:80"},
		{"one service goes before another comes", made(spec(web, "rr")), []ipvs.ServiceSpec{spec(dns, "rr")},
			"remove TCP 203.0.113.10:80; add TCP 203.0.113.10:53"},
		{"another scheduler is an edit", made(spec(web, "rr", a)), []ipvs.ServiceSpec{spec(web, "wrr", a)}, "edit TCP 203.0.113.10:80"},
		{"a mark without a family is IPv4", made(spec(mark, "rr")), []ipvs.ServiceSpec{spec(ipvs.ServiceKey{FWMark: 7}, "rr")}, ""},
		{"a mark of the other family is another service", made(spec(mark, "rr")),
			[]ipvs.ServiceSpec{spec(ipvs.ServiceMark(7, ipvs.IPv6), "rr")}, "remove FWM 7; add FWM 7 IPv6"},
		{"a destination comes last", made(spec(web, "rr", a)), []ipvs.ServiceSpec{spec(web, "rr", a, b)},
			"add 192.0.2.3:80 of TCP 203.0.113.10:80"},
		{"a destination goes", made(spec(web, "rr", a, b, c)), []ipvs.ServiceSpec{spec(web, "rr", a, c)},
			"remove 192.0.2.3:80 of TCP 203.0.113.10:80"},
		{"another weight is an edit", made(spec(web, "rr", a, b)), []ipvs.ServiceSpec{spec(web, "rr", heavy, b)},
			"edit 192.0.2.2:80 of TCP 203.0.113.10:80"},
		{"a destination that comes first takes an order", made(spec(web, "rr", a)), []ipvs.ServiceSpec{spec(web, "rr", b, a)},
			"add 192.0.2.3:80 of TCP 203.0.113.10:80; reorder the destinations of TCP 203.0.113.10:80"},
		{"another order alone is a change", made(spec(web, "rr", a, b)), []ipvs.ServiceSpec{spec(web, "rr", b, a)},
			"reorder the destinations of TCP 203.0.113.10:80"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var said []string
			for _, c := range ipvs.Plan(test.have, test.want) {
				said = append(said, c.String())
			}
			if got := strings.Join(said, "; "); got != test.plan {
				t.Errorf("plan %q, want %q", got, test.plan)
			}
		})
	}
}

// random returns specs of few enough services and servers that two of them
// have much in common.
func random(r *rand.Rand) []ipvs.ServiceSpec {
	var specs []ipvs.ServiceSpec
	for _, port := range r.Perm(5)[:r.IntN(6)] {
		w := spec(tcp(fmt.Sprintf("203.0.113.10:%d", 80+port)), []string{"rr", "wrr"}[r.IntN(2)])
		for _, host := range r.Perm(5)[:r.IntN(6)] {
			w.Destinations = append(w.Destinations, dest(fmt.Sprintf("192.0.2.%d:80", 1+host), int32(r.IntN(2))))
		}
		specs = append(specs, w)
	}
	return specs
}

// obey does to have what the plan says, taking particulars from want.
func obey(have []ipvs.ServiceInfo, plan ipvs.Changes, want []ipvs.ServiceSpec) []ipvs.ServiceInfo {
	full := made(want...)
	at := func(all []ipvs.ServiceInfo, k ipvs.ServiceKey) int {
		return slices.IndexFunc(all, func(s ipvs.ServiceInfo) bool { return s.ServiceKey == k })
	}
	in := func(all []ipvs.DestinationInfo, a netip.AddrPort) int {
		return slices.IndexFunc(all, func(d ipvs.DestinationInfo) bool { return d.Addr == a })
	}
	have = slices.Clone(have)
	for _, c := range plan {
		i, f := at(have, c.Service), at(full, c.Service)
		switch {
		case c.Op == ipvs.Remove && !c.Destination.IsValid():
			have = slices.Delete(have, i, i+1)
			continue
		case c.Op == ipvs.Add && !c.Destination.IsValid():
			have = append(have, full[f])
			continue
		}
		s := &have[i]
		s.Destinations = slices.Clone(s.Destinations)
		switch {
		case c.Op == ipvs.Reorder:
			slices.SortFunc(s.Destinations, func(a, b ipvs.DestinationInfo) int {
				return in(full[f].Destinations, a.Addr) - in(full[f].Destinations, b.Addr)
			})
		case !c.Destination.IsValid():
			s.Service = full[f].Service
		case c.Op == ipvs.Remove:
			d := in(s.Destinations, c.Destination)
			s.Destinations = slices.Delete(s.Destinations, d, d+1)
		case c.Op == ipvs.Add:
			s.Destinations = slices.Insert(s.Destinations, 0, full[f].Destinations[in(full[f].Destinations, c.Destination)])
		case c.Op == ipvs.Edit:
			s.Destinations[in(s.Destinations, c.Destination)] = full[f].Destinations[in(full[f].Destinations, c.Destination)]
		}
	}
	return have
}

// canon is a table in a comparable order: that of services is no part of it.
func canon(all []ipvs.ServiceInfo) []ipvs.ServiceInfo {
	all = append([]ipvs.ServiceInfo(nil), all...)
	slices.SortFunc(all, func(a, b ipvs.ServiceInfo) int { return a.Addr.Compare(b.Addr) })
	for i := range all {
		if len(all[i].Destinations) == 0 {
			all[i].Destinations = nil
		}
	}
	return all
}

func TestWhoeverObeysThePlanHasWhatWasWanted(t *testing.T) {
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 1))
		before, want := random(r), random(r)
		plan := ipvs.Plan(made(before...), want)
		after := obey(made(before...), plan, want)
		if !reflect.DeepEqual(canon(after), canon(made(want...))) {
			t.Fatalf("seed %d: plan %v led to %v, wanted %v", seed, plan, after, want)
		}
		if again := ipvs.Plan(after, want); len(again) > 0 {
			t.Fatalf("seed %d: a second plan is not empty: %v", seed, again)
		}
		touched := map[string]bool{}
		for _, c := range plan {
			if touched[c.String()] {
				t.Fatalf("seed %d: %s twice", seed, c)
			}
			touched[c.String()] = true
		}
	}
}
