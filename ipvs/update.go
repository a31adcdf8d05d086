package ipvs

import (
	"errors"
	"fmt"

	"github.com/evs-project/evs/internal/datapath"
)

// Update makes services what is wanted, as Set does, and leaves all others alone. It
// is for whoever changes few of many, or weights, again and again: it looks at those
// services alone, and asks for the ways to destinations that are new alone.
func (t *Table) Update(want []ServiceSpec) (Changes, error) {
	specs := normalised(want)
	if err := checkSpecs(specs); err != nil {
		return nil, err
	}
	var done Changes
	err := t.edit(func(dp *datapath.Table) (err error) {
		done, err = update(dp, specs)
		return err
	})
	return done, err
}

// update brings services of an open table to what is wanted.
func update(dp *datapath.Table, specs []ServiceSpec) (Changes, error) {
	var have []ServiceInfo
	live := map[ServiceKey]datapath.Live{}
	for _, w := range specs {
		if l, ok := dp.Find(keyRecord(w.ServiceKey)); ok {
			have = append(have, configuration(dp, l))
			live[w.ServiceKey] = l
		}
	}
	plan := Plan(have, specs)
	touched := map[ServiceKey]bool{}
	for _, c := range plan {
		touched[c.Service] = true
	}
	known := ways{}
	var different []ServiceSpec
	places := map[ServiceKey]place{}
	for _, w := range specs {
		if touched[w.ServiceKey] {
			p := known.placeBeside(dp, live[w.ServiceKey])
			different = append(different, ServiceSpec{Service: w.Service, Destinations: p.fresh(w.Destinations)})
			places[w.ServiceKey] = p.place
		}
	}
	if len(different) == 0 {
		return nil, nil
	}
	if err := errors.Join(checkHost(different, known), checkTable(dp, specs)); err != nil {
		return nil, err
	}
	err := dp.Together(func() error {
		for _, w := range specs {
			if touched[w.ServiceKey] {
				if err := setService(dp, live[w.ServiceKey], w, places[w.ServiceKey]); err != nil {
					return fmt.Errorf("%s: %w", w.ServiceKey, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return plan, nil
}

// kept are the destinations that a service has already.
type kept struct {
	slots map[Destination]uint32 // of what does not change with the weight
	other place
}

func (ws ways) placeBeside(dp *datapath.Table, l datapath.Live) kept {
	k := kept{slots: make(map[Destination]uint32, len(l.Entries)), other: ws.place(dp)}
	for _, e := range l.Entries {
		k.slots[unweighted(destinationOf(dp.Dst(e.Dst), e))] = e.Dst
	}
	return k
}

// unweighted is what of a destination decides its way and its record.
func unweighted(d Destination) Destination {
	d.Weight, d.Upper, d.Lower = 0, 0, 0
	return d
}

func (k kept) place(service int, d Destination) (int, error) {
	if slot, ok := k.slots[unweighted(d)]; ok {
		return int(slot), nil
	}
	return k.other(service, d)
}

// fresh are those that the service does not have.
func (k kept) fresh(all []Destination) (out []Destination) {
	for _, d := range all {
		if _, ok := k.slots[unweighted(d)]; !ok {
			out = append(out, d)
		}
	}
	return out
}

// Edits is a number that is another after each change of services or destinations,
// whoever made it: 0 where there is no table. What else there is of a table has no
// part in it.
func (t *Table) Edits() (uint64, error) {
	var n uint64
	err := t.view(func(dp *datapath.Table) error {
		n = dp.Settings().Serial
		return nil
	})
	return n, err
}
