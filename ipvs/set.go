package ipvs

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/evs-project/evs/internal/datapath"
)

// SpecError is what is wrong with a wanted service or one of its destinations.
type SpecError struct {
	Service ServiceKey
	// Destination is the zero value where the service itself is wrong.
	Destination netip.AddrPort
	Err         error
}

// Error names the service, and the destination where Err does not.
func (e *SpecError) Error() string { return fmt.Sprintf("%s: %v", e.Service, e.Err) }

// Unwrap returns the reason, which wraps a sentinel of this package.
func (e *SpecError) Unwrap() error { return e.Err }

// SpecErrors returns every SpecError in what Set returned, none if it failed
// for another reason.
func SpecErrors(err error) []*SpecError {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*SpecError
		for _, err := range joined.Unwrap() {
			all = append(all, SpecErrors(err)...)
		}
		return all
	}
	var one *SpecError
	if errors.As(err, &one) {
		return []*SpecError{one}
	}
	return nil
}

// Set makes the table have exactly the services wanted, and returns what it
// changed: nothing, if the table was so already. Services and destinations that
// stay keep their connections and counters, also when their configuration
// changes; timeouts and daemons are not touched.
//
// Everything is validated first: the error joins a *SpecError for each service
// and destination that could not be, and nothing was changed.
//
// What is atomic: for other writers the whole is one edit under one lock. If it
// fails, also for want of room, the table is as it was: the new configuration
// is written beside the old, which therefore needs room for both, and comes
// into force only when all of it is there, without a step that can fail. To a
// packet each service changes at once with all its destinations; services
// follow each other within microseconds, so a packet may meet one that has
// changed and the next another that has not yet. Only a process killed in those
// microseconds leaves some services new and others old, each whole; Set again
// completes it.
func (t *Table) Set(want []ServiceSpec) (Changes, error) {
	specs, known := normalised(want), ways{}
	if err := errors.Join(checkSpecs(specs), checkHost(specs, known)); err != nil {
		return nil, err
	}
	var done Changes
	change := func(dp *datapath.Table) error {
		plan, err := setTable(dp, specs, known)
		done = plan
		return err
	}
	if len(specs) == 0 { // an empty table need not be made
		err := t.editExisting(nil, change)
		return done, err
	}
	err := t.edit(change)
	return done, err
}

// Check returns what Set would refuse, as Set does, and changes nothing.
func (t *Table) Check(want []ServiceSpec) error {
	specs := normalised(want)
	return errors.Join(checkSpecs(specs), checkHost(specs, ways{}))
}

func normalised(want []ServiceSpec) []ServiceSpec {
	specs := make([]ServiceSpec, len(want))
	for i, w := range want {
		specs[i] = w.normal()
	}
	return specs
}

// checkSpecs validates all that can be told without the table.
func checkSpecs(specs []ServiceSpec) error {
	var errs []error
	seen := map[ServiceKey]bool{}
	for _, w := range specs {
		wrong := func(d netip.AddrPort, err error) {
			if err != nil {
				errs = append(errs, &SpecError{Service: w.ServiceKey, Destination: d, Err: err})
			}
		}
		wrong(netip.AddrPort{}, w.Validate())
		if seen[w.ServiceKey] {
			wrong(netip.AddrPort{}, fmt.Errorf("wanted twice: %w", ErrServiceExists))
		}
		seen[w.ServiceKey] = true
		servers := map[netip.AddrPort]bool{}
		for _, d := range w.Destinations {
			wrong(d.Addr, firstError(d.Validate(w.Service), d.CheckAddr()))
			if servers[d.Addr] {
				wrong(d.Addr, fmt.Errorf("%s: wanted twice: %w", d.Addr, ErrDestinationExists))
			}
			servers[d.Addr] = true
		}
	}
	return errors.Join(errs...)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// setTable brings an open table to what is wanted.
func setTable(dp *datapath.Table, specs []ServiceSpec, known ways) (Changes, error) {
	live := dp.Services()
	have := make([]ServiceInfo, len(live))
	byKey := make(map[ServiceKey]datapath.Live, len(live))
	for i, l := range live {
		have[i] = configuration(dp, l)
		byKey[have[i].ServiceKey] = l
	}
	plan := Plan(have, specs)
	if len(plan) == 0 {
		return nil, nil
	}
	touched := map[ServiceKey]bool{}
	for _, c := range plan {
		touched[c.Service] = true
	}
	if err := checkTable(dp, specs); err != nil {
		return nil, err
	}
	err := dp.Together(func() error {
		for _, c := range plan {
			if c.Op == Remove && !c.Destination.IsValid() {
				if err := dp.DeleteService(byKey[c.Service].Slot); err != nil {
					return err
				}
			}
		}
		for _, w := range specs {
			if touched[w.ServiceKey] {
				if err := setService(dp, byKey[w.ServiceKey], w, known.place(dp)); err != nil {
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

// configuration is a service without its counters, which a plan has no use for.
func configuration(dp *datapath.Table, l datapath.Live) ServiceInfo {
	info := ServiceInfo{Service: serviceOf(l), Destinations: make([]DestinationInfo, len(l.Entries))}
	for i, e := range l.Entries {
		info.Destinations[i].Destination = destinationOf(dp.Dst(e.Dst), e)
	}
	return info
}

// checkHost finds destinations that are broadcast addresses of this host.
func checkHost(specs []ServiceSpec, known ways) error {
	var errs []error
	for _, w := range specs {
		for _, d := range w.Destinations {
			if err := known.to(d.Addr.Addr()).check(d.Addr.Addr()); err != nil {
				errs = append(errs, &SpecError{Service: w.ServiceKey, Destination: d.Addr, Err: err})
			}
		}
	}
	return errors.Join(errs...)
}

// checkTable finds destinations that the table as it is cannot take.
func checkTable(dp *datapath.Table, specs []ServiceSpec) error {
	var errs []error
	for _, w := range specs {
		for _, d := range w.Destinations {
			if err := acceptable(dp, d, w.Service); err != nil {
				errs = append(errs, &SpecError{Service: w.ServiceKey, Destination: d.Addr, Err: err})
			}
		}
	}
	return errors.Join(errs...)
}

// place finds the slot of a destination in the service of a slot.
type place func(service int, d Destination) (slot int, err error)

// place asks for the way to each destination, which may be another by now.
func (ws ways) place(dp *datapath.Table) place {
	return func(service int, d Destination) (int, error) {
		return dp.DstSlot(service, dstRecord(d, ws.to(d.Addr.Addr())))
	}
}

// setService prepares one service; l is the zero value where it is new.
func setService(dp *datapath.Table, l datapath.Live, w ServiceSpec, place place) error {
	id := keyRecord(w.ServiceKey)
	fresh := l.ID != id
	if fresh {
		slot, err := dp.Place(id)
		if err != nil {
			return err
		}
		l = datapath.Live{Slot: slot, ID: id}
	}
	entries := make([]datapath.Entry, len(w.Destinations))
	for i, d := range w.Destinations {
		slot, err := place(l.Slot, d)
		if err != nil {
			return err
		}
		e := entryRecord(d)
		e.Dst = uint32(slot)
		entries[len(entries)-1-i] = e // the newest first
	}
	remember(entries, l.Entries)
	if !fresh && slices.Equal(entries, l.Entries) {
		return reconfigure(dp, l, w.Service)
	}
	if err := configure(dp, l, w.Service, entries); err != nil {
		return err
	}
	if fresh {
		dp.Publish(l.Slot)
	}
	return nil
}
