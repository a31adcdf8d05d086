package ipvs_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"github.com/evs-project/evs/ipvs"
)

// state is the configuration of a table, in a comparable order.
func state(t *ipvs.Table) ([]ipvs.ServiceInfo, error) {
	all, err := t.Services()
	for i := range all {
		all[i].Stats, all[i].Rates = ipvs.Stats{}, ipvs.Rates{}
		for j := range all[i].Destinations {
			if d := &all[i].Destinations[j]; d.Weight > 0 && d.LastWeight != d.Weight {
				err = errors.Join(err, fmt.Errorf("%s has weight %d, and as the last %d", d.Addr, d.Weight, d.LastWeight))
			}
			all[i].Destinations[j].LastWeight = 0
		}
	}
	return canon(all), err
}

func expect(t *ipvs.Table, want ...ipvs.ServiceSpec) error {
	got, err := state(t)
	if err == nil && !reflect.DeepEqual(got, canon(made(want...))) {
		err = fmt.Errorf("the table is %v\nwant %v", got, canon(made(want...)))
	}
	return err
}

func TestSetMakesTheTableWhatWasWantedFromWhateverItWas(t *testing.T) {
	inNamespace(t, func(table *ipvs.Table) error {
		for seed := range uint64(200) {
			want := random(rand.New(rand.NewPCG(seed, 2)))
			if _, err := table.Set(want); err != nil {
				return fmt.Errorf("seed %d: %w", seed, err)
			}
			if err := expect(table, want...); err != nil {
				return fmt.Errorf("seed %d: %w", seed, err)
			}
			again, err := table.Set(want)
			if err != nil {
				return fmt.Errorf("seed %d: a second Set: %w", seed, err)
			}
			if len(again) > 0 {
				return fmt.Errorf("seed %d: a second Set changed %v", seed, again)
			}
		}
		return nil
	})
}

func TestSetAndSingleEditsMakeTheSameTable(t *testing.T) {
	inNamespace(t, func(table *ipvs.Table) error {
		want := spec(tcp("203.0.113.10:80"), "wrr", dest("192.0.2.2:80", 1), dest("192.0.2.3:80", 3))
		if err := table.AddService(want.Service); err != nil {
			return err
		}
		for _, d := range want.Destinations {
			if err := table.AddDestination(want.ServiceKey, d); err != nil {
				return err
			}
		}
		changes, err := table.Set([]ipvs.ServiceSpec{want})
		if len(changes) > 0 {
			return fmt.Errorf("Set changed %v", changes)
		}
		return err
	})
}

func TestSetThatFailsLeavesTheTableAsItWas(t *testing.T) {
	good := spec(tcp("203.0.113.10:80"), "wrr", dest("192.0.2.2:80", 1), dest("192.0.2.3:80", 3))
	other := tcp("203.0.113.11:80")
	tooMany := make([]ipvs.ServiceSpec, 0, 20000)
	for i := range 20000 {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), uint16(1000+i/256))
		tooMany = append(tooMany, spec(ipvs.ServiceAt(ipvs.TCP, a), "rr", dest("192.0.2.9:80", 1)))
	}
	for _, test := range []struct {
		name string
		want []ipvs.ServiceSpec
		err  error
	}{
		{"an unknown scheduler", []ipvs.ServiceSpec{spec(other, "best")}, ipvs.ErrNoScheduler},
		{"no scheduler", []ipvs.ServiceSpec{spec(other, "")}, ipvs.ErrNoScheduler},
		{"a service twice", []ipvs.ServiceSpec{spec(other, "rr"), spec(other, "wrr")}, ipvs.ErrServiceExists},
		{"a destination twice", []ipvs.ServiceSpec{spec(other, "rr", dest("192.0.2.2:80", 1), dest("192.0.2.2:80", 2))}, ipvs.ErrDestinationExists},
		{"a negative weight", []ipvs.ServiceSpec{spec(other, "rr", dest("192.0.2.2:80", -1))}, ipvs.ErrRange},
		{"a multicast server", []ipvs.ServiceSpec{spec(other, "rr", dest("224.0.0.1:80", 1))}, ipvs.ErrInvalid},
		{"a broadcast address of a network of this host", []ipvs.ServiceSpec{spec(other, "rr", dest("192.0.2.255:80", 1))}, ipvs.ErrInvalid},
		{"more services than there is room for", tooMany, ipvs.ErrNoSpace},
	} {
		t.Run(test.name, func(t *testing.T) {
			inNamespace(t, func(table *ipvs.Table) error {
				if _, err := table.Set([]ipvs.ServiceSpec{good}); err != nil {
					return err
				}
				if _, err := table.Set(test.want); !errors.Is(err, test.err) {
					return fmt.Errorf("want %w, Set said: %w", test.err, err)
				}
				if err := expect(table, good); err != nil {
					return err
				}
				// What was prepared takes no room from what follows.
				most := append(tooMany[:16000:16000], good)
				if _, err := table.Set(most); err != nil {
					return err
				}
				return expect(table, most...)
			})
		})
	}
}

func TestSetReportsEverythingThatIsWrongAtOnce(t *testing.T) {
	_, err := new(ipvs.Table).Set([]ipvs.ServiceSpec{
		spec(tcp("203.0.113.10:80"), "best", dest("0.0.0.0:80", 1), dest("192.0.2.2:80", -1)),
		spec(tcp("203.0.113.10:0"), "rr"),
	})
	if wrong := ipvs.SpecErrors(err); len(wrong) != 4 {
		t.Errorf("%d errors, want 4: %v", len(wrong), err)
	}
}

func TestADestinationThatRestsRemembersItsWeight(t *testing.T) {
	inNamespace(t, func(table *ipvs.Table) error {
		for _, weight := range []int32{3, 0} {
			if _, err := table.Set([]ipvs.ServiceSpec{spec(tcp("203.0.113.10:80"), "mh", dest("192.0.2.2:80", weight))}); err != nil {
				return err
			}
			s, err := table.Service(tcp("203.0.113.10:80"))
			if err != nil {
				return err
			}
			if d := s.Destinations[0]; d.Weight != weight || d.LastWeight != 3 {
				return fmt.Errorf("weight %d, last %d", d.Weight, d.LastWeight)
			}
		}
		return nil
	})
}
