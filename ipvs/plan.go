package ipvs

import (
	"fmt"
	"net/netip"
	"slices"
)

// ServiceSpec is a virtual service as it should be.
type ServiceSpec struct {
	Service
	// Destinations are in the order in which they would be added one by one.
	// The table has the newest first, so it lists and schedules them the
	// other way round.
	Destinations []Destination
}

// Op is what a Change does.
type Op uint8

// The operations of a plan.
const (
	Add Op = iota + 1
	Edit
	Remove
	// Reorder gives the destinations of a service another order.
	Reorder
)

var opNames = [...]string{Add: "add", Edit: "edit", Remove: "remove", Reorder: "reorder"}

// String returns add, edit, remove or reorder.
func (o Op) String() string {
	if int(o) < len(opNames) && o > 0 {
		return opNames[o]
	}
	return fmt.Sprintf("operation %d", uint8(o))
}

// Change is one difference between the table and what it should be.
type Change struct {
	Op      Op
	Service ServiceKey
	// Destination is the one concerned, the zero value where it is the
	// service itself. With a service all its destinations come and go, and
	// are not mentioned.
	Destination netip.AddrPort
}

// String says what the change does: "add TCP 203.0.113.10:80", "remove
// 192.0.2.3:80 of TCP 203.0.113.10:80".
func (c Change) String() string {
	switch {
	case c.Destination.IsValid():
		return fmt.Sprintf("%s %s of %s", c.Op, c.Destination, c.Service)
	case c.Op == Reorder:
		return fmt.Sprintf("reorder the destinations of %s", c.Service)
	}
	return fmt.Sprintf("%s %s", c.Op, c.Service)
}

// Changes are the differences between a table and what it should be.
type Changes []Change

// Plan returns what has to be done to a table that has these services, for it
// to have those. Nothing is said of what is as it should be already, so the
// plan of a table that is right is empty. It is pure.
//
// Services go before others come; within a service its configuration is edited
// first, then destinations go, come, change and take their order.
func Plan(have []ServiceInfo, want []ServiceSpec) Changes {
	had := make(map[ServiceKey]*ServiceInfo, len(have))
	for i := range have {
		had[have[i].ServiceKey] = &have[i]
	}
	wanted := make(map[ServiceKey]bool, len(want))
	for _, w := range want {
		wanted[w.normal().ServiceKey] = true
	}
	var plan Changes
	for _, h := range have {
		if !wanted[h.ServiceKey] {
			plan = append(plan, Change{Op: Remove, Service: h.ServiceKey})
		}
	}
	for _, w := range want {
		w = w.normal()
		h := had[w.ServiceKey]
		if h == nil {
			plan = append(plan, Change{Op: Add, Service: w.ServiceKey})
			continue
		}
		if h.Service != w.Service {
			plan = append(plan, Change{Op: Edit, Service: w.ServiceKey})
		}
		plan = append(plan, planDestinations(w.ServiceKey, h.Destinations, w.Destinations)...)
	}
	return plan
}

// normal fills in defaults and leaves out what does not identify a service.
func (w ServiceSpec) normal() ServiceSpec {
	w.Service = w.WithDefaults()
	if w.FWMark != 0 {
		w.ServiceKey = ServiceMark(w.FWMark, w.Family)
	}
	return w
}

func planDestinations(k ServiceKey, have []DestinationInfo, want []Destination) Changes {
	had := make(map[netip.AddrPort]Destination, len(have))
	for _, h := range have {
		had[h.Addr] = h.Destination
	}
	wanted := make(map[netip.AddrPort]bool, len(want))
	for _, w := range want {
		wanted[w.Addr] = true
	}
	var gone, come, change Changes
	var order []netip.AddrPort // of the table when the others are done
	for _, h := range have {
		if wanted[h.Addr] {
			order = append(order, h.Addr)
		} else {
			gone = append(gone, Change{Op: Remove, Service: k, Destination: h.Addr})
		}
	}
	slices.Reverse(order)
	for _, w := range want {
		h, ok := had[w.Addr]
		switch {
		case !ok:
			come = append(come, Change{Op: Add, Service: k, Destination: w.Addr})
			order = append(order, w.Addr)
		case h != w:
			change = append(change, Change{Op: Edit, Service: k, Destination: w.Addr})
		}
	}
	plan := slices.Concat(gone, come, change)
	if !slices.EqualFunc(order, want, func(a netip.AddrPort, w Destination) bool { return a == w.Addr }) {
		plan = append(plan, Change{Op: Reorder, Service: k})
	}
	return plan
}
