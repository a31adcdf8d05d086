// Package director brings a table to what a director's file wants: the plan of it,
// which is pure, the act, and the record of changes that wait to be confirmed. It
// never carries a packet, and judges no server: weights are those it is told.
package director

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/weight"
	"github.com/evs-project/evs/ipvs"
)

// Wanted is what a table shall be.
type Wanted struct {
	// Services are all there shall be.
	Services []ipvs.ServiceSpec
	// Settings shall have these values; others stay. Names are without prefix.
	Settings []ipvs.SysctlValue
	// Timeouts that are zero stay.
	Timeouts ipvs.Timeouts
	// Marks are all the rules there shall be.
	Marks []ipvs.MarkRule
	// Mode is how interfaces are attached, but for those that Interfaces names.
	Mode       ipvs.AttachMode
	Interfaces map[string]ipvs.AttachMode
}

// WantedBy is what a file wants, if every server is well.
func WantedBy(d config.Desired) Wanted {
	w := Wanted{
		Services: scaled(d), Timeouts: d.Timeouts.Timeouts(),
		Mode: ipvs.AttachAuto, Interfaces: d.Interfaces,
	}
	for _, s := range d.Sysctls() {
		w.Settings = append(w.Settings, s.SysctlValue)
	}
	for _, m := range d.Marks {
		w.Marks = append(w.Marks, m.Rule)
	}
	return w
}

// scaled are the services of a file with the weights that a director gives them: where
// weights are to move, all of a service are multiplied by one factor.
func scaled(d config.Desired) []ipvs.ServiceSpec {
	all := d.Specs()
	next := all
	for _, s := range d.Services {
		by := int32(weight.ScaleOf(s))
		for range s.Keys() {
			for i := range s.Destinations { // a sorry server stands behind them
				next[0].Destinations[i].Weight *= by
			}
			next = next[1:]
		}
	}
	return all
}

// Running is what a table is.
type Running struct {
	Services    []ipvs.ServiceInfo
	Settings    []ipvs.Sysctl
	Timeouts    ipvs.Timeouts
	Marks       []ipvs.MarkRule
	Mode        ipvs.AttachMode
	Attachments []ipvs.Attachment
}

// Read reads a table; one that is not there has the defaults.
func Read(t *ipvs.Table) (r Running, err error) {
	if r.Services, err = t.Services(); err != nil {
		return r, err
	}
	if r.Settings, err = t.Sysctls(); err != nil {
		return r, err
	}
	if r.Timeouts, err = t.Timeouts(); err != nil {
		return r, err
	}
	if r.Marks, err = t.Marks(); err != nil {
		return r, err
	}
	r.Mode, r.Attachments, err = t.Attachments()
	return r, err
}

// Kept is what would have to be wanted for all to be as it is.
func (r Running) Kept() Wanted {
	w := Wanted{Timeouts: r.Timeouts, Marks: r.Marks, Mode: r.Mode, Interfaces: map[string]ipvs.AttachMode{}}
	for _, s := range r.Services {
		spec := ipvs.ServiceSpec{Service: s.Service}
		for _, d := range slices.Backward(s.Destinations) { // the newest is first there, and last here
			spec.Destinations = append(spec.Destinations, d.Destination)
		}
		w.Services = append(w.Services, spec)
	}
	for _, s := range r.Settings {
		if s.Effect != ipvs.SysctlFixed {
			w.Settings = append(w.Settings, ipvs.SysctlValue{Name: s.Name, Value: s.Value})
		}
	}
	for _, a := range r.Attachments {
		if a.Mode != r.Mode {
			w.Interfaces[a.Interface] = a.Mode
		}
	}
	return w
}

// modeOf is the mode of an interface.
func (r Running) modeOf(name string) ipvs.AttachMode {
	for _, a := range r.Attachments {
		if a.Interface == name {
			return a.Mode
		}
	}
	return r.Mode
}

// Check says all that a table would refuse of w, as far as it can be told
// beforehand, and changes nothing.
func Check(t *ipvs.Table, w Wanted) error {
	errs := []error{t.Check(w.Services)}
	for _, s := range w.Settings {
		errs = append(errs, s.Validate())
	}
	for _, m := range w.Marks {
		errs = append(errs, m.Validate())
	}
	for _, name := range sortedKeys(w.Interfaces) {
		if _, err := net.InterfaceByName(name); err != nil {
			errs = append(errs, fmt.Errorf("interfaces: there is no %s here: see `ip link`, or take it out of the list", name))
		}
	}
	return errors.Join(errs...)
}
