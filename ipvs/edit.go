package ipvs

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/evs-project/evs/internal/datapath"
)

// edit changes the table, creating it where it is missing.
func (t *Table) edit(change func(*datapath.Table) error) error {
	return translate(t.editor.Edit(t.ctx, change))
}

// editExisting changes the table; missing is the answer where there is none.
func (t *Table) editExisting(missing error, change func(*datapath.Table) error) error {
	err := t.editor.EditExisting(t.ctx, change)
	if errors.Is(err, datapath.ErrNoTable) {
		return missing
	}
	return translate(err)
}

// AddService adds a virtual service without destinations.
func (t *Table) AddService(s Service) error {
	s = s.WithDefaults()
	if _, err := t.Service(s.ServiceKey); err == nil {
		return fmt.Errorf("%s: %w", s.ServiceKey, ErrServiceExists)
	}
	if err := s.Validate(); err != nil {
		return fmt.Errorf("%s: %w", s.ServiceKey, err)
	}
	return t.edit(func(dp *datapath.Table) error {
		if _, ok := dp.Find(keyRecord(s.ServiceKey)); ok {
			return fmt.Errorf("%s: %w", s.ServiceKey, ErrServiceExists)
		}
		_, err := dp.AddService(keyRecord(s.ServiceKey), content(dp, datapath.Live{}, s, nil))
		return err
	})
}

// EditService replaces the configuration of a service; its destinations stay.
func (t *Table) EditService(s Service) error {
	s = s.WithDefaults()
	return t.editService(s.ServiceKey, func(dp *datapath.Table, l datapath.Live) error {
		if err := s.Validate(); err != nil {
			return fmt.Errorf("%s: %w", s.ServiceKey, err)
		}
		return reconfigure(dp, l, s)
	})
}

// reconfigure stores a service whose destinations stay.
func reconfigure(dp *datapath.Table, l datapath.Live, s Service) error {
	if nameOf(l.Version.SchedName[:]) != s.Scheduler {
		return configure(dp, l, s, l.Entries)
	}
	// As in the kernel, a scheduler that stays does not hear of it.
	c := content(dp, l, s, l.Entries)
	c.Version.WeightMax, c.Version.WeightStep, c.State = l.Version.WeightMax, l.Version.WeightStep, l.State
	return dp.Configure(l.Slot, c)
}

// editService runs change on a service that exists.
func (t *Table) editService(k ServiceKey, change func(*datapath.Table, datapath.Live) error) error {
	missing := fmt.Errorf("%s: %w", k, ErrNoService)
	return t.editExisting(missing, func(dp *datapath.Table) error {
		l, ok := dp.Find(keyRecord(k))
		if !ok {
			return missing
		}
		return change(dp, l)
	})
}

// configure stores a service and its destinations at once.
func configure(dp *datapath.Table, l datapath.Live, s Service, entries []datapath.Entry) error {
	return dp.Configure(l.Slot, content(dp, l, s, entries))
}

// DeleteService removes a service with its destinations.
func (t *Table) DeleteService(k ServiceKey) error {
	return t.editService(k, func(dp *datapath.Table, l datapath.Live) error {
		if err := dp.DeleteService(l.Slot); err != nil {
			return err
		}
		dp.Refilter()
		return nil
	})
}

// Clear removes every service.
func (t *Table) Clear() error {
	return t.editExisting(nil, func(dp *datapath.Table) error {
		for _, l := range dp.Services() {
			if err := dp.DeleteService(l.Slot); err != nil {
				return err
			}
		}
		dp.Refilter()
		return nil
	})
}

// find returns the place of a destination among the entries of a service, -1
// if it is not there.
func find(dp *datapath.Table, entries []datapath.Entry, addr netip.AddrPort) int {
	return slices.IndexFunc(entries, func(e datapath.Entry) bool {
		return addrPort(dp.Dst(e.Dst)) == addr
	})
}

// AddDestination adds a real server to a service.
func (t *Table) AddDestination(k ServiceKey, d Destination) error {
	return t.editService(k, func(dp *datapath.Table, l datapath.Live) error {
		s := serviceOf(l)
		if err := acceptable(dp, d, s); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
		if find(dp, l.Entries, d.Addr) >= 0 {
			return fmt.Errorf("%s: %s: %w", k, d.Addr, ErrDestinationExists)
		}
		if err := d.CheckAddr(); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
		w := wayTo(d.Addr.Addr())
		if err := w.check(d.Addr.Addr()); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
		slot, err := dp.DstSlot(l.Slot, dstRecord(d, w))
		if err != nil {
			return err
		}
		e := entryRecord(d)
		e.Dst = uint32(slot)
		return configure(dp, l, s, append([]datapath.Entry{e}, l.Entries...))
	})
}

// EditDestination replaces the configuration of a real server. Connections it
// has stay.
func (t *Table) EditDestination(k ServiceKey, d Destination) error {
	return t.editService(k, func(dp *datapath.Table, l datapath.Live) error {
		s := serviceOf(l)
		if err := acceptable(dp, d, s); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
		i := find(dp, l.Entries, d.Addr)
		if i < 0 {
			return fmt.Errorf("%s: %s: %w", k, d.Addr, ErrNoDestination)
		}
		slot, err := dp.DstSlot(l.Slot, dstRecord(d, wayTo(d.Addr.Addr())))
		if err != nil {
			return err
		}
		entries := slices.Clone(l.Entries)
		entries[i] = entryRecord(d)
		entries[i].Dst = uint32(slot)
		return configure(dp, l, s, entries)
	})
}

// DeleteDestination removes a real server from a service. Its connections
// are not forwarded any more, unless it comes back.
func (t *Table) DeleteDestination(k ServiceKey, addr netip.AddrPort) error {
	return t.editService(k, func(dp *datapath.Table, l datapath.Live) error {
		i := find(dp, l.Entries, addr)
		if i < 0 {
			return fmt.Errorf("%s: %s: %w", k, addr, ErrNoDestination)
		}
		if err := configure(dp, l, serviceOf(l), slices.Delete(slices.Clone(l.Entries), i, i+1)); err != nil {
			return err
		}
		dp.Refilter()
		return nil
	})
}

// Zero sets all counters to zero.
func (t *Table) Zero() error {
	return t.editExisting(nil, func(dp *datapath.Table) error {
		for _, l := range dp.Services() {
			dp.ZeroService(l)
		}
		dp.Settings().Gone = [5]uint64{}
		return nil
	})
}

// ZeroService sets the counters of a service and its destinations to zero.
func (t *Table) ZeroService(k ServiceKey) error {
	return t.editService(k, func(dp *datapath.Table, l datapath.Live) error {
		dp.ZeroService(l)
		return nil
	})
}

// SetTimeouts changes timeouts, to whole seconds; a zero field leaves that
// timeout as it is. Connections take the new ones with their next packet.
func (t *Table) SetTimeouts(to Timeouts) error {
	return t.edit(func(dp *datapath.Table) error {
		set := func(state int, d time.Duration) {
			if d > 0 {
				dp.Settings().Timeout[state] = uint32(d / time.Second)
			}
		}
		set(datapath.StateEstablished, to.TCP)
		set(datapath.StateFinWait, to.TCPFin)
		set(datapath.StateUDP, to.UDP)
		return nil
	})
}

// acceptable reports whether d may be a destination of s, new or edited.
func acceptable(dp *datapath.Table, d Destination, s Service) error {
	if running(dp) && FamilyOf(d.Addr.Addr()) != s.Family {
		return fmt.Errorf("%w: %s: the connection-synchronisation daemon takes no destination of another family than its service", ErrInvalid, d.Addr)
	}
	return d.Validate(s)
}

// running reports whether a connection-synchronisation daemon was started.
func running(dp *datapath.Table) bool {
	return slices.ContainsFunc(dp.Settings().Daemon[:], func(d datapath.Daemon) bool { return d.Running != 0 })
}

// mixedFamilies reports whether a service has a destination of another family.
func mixedFamilies(dp *datapath.Table) bool {
	return slices.ContainsFunc(dp.Services(), func(l datapath.Live) bool {
		return slices.ContainsFunc(l.Entries, func(e datapath.Entry) bool {
			return dp.Dst(e.Dst).Family != l.ID.Family
		})
	})
}

// StartDaemon notes that a connection-synchronisation daemon was asked for.
func (t *Table) StartDaemon(d Daemon) error {
	if err := d.Validate(); err != nil {
		return err
	}
	role := slices.Index(roles[:], d.Role)
	return t.edit(func(dp *datapath.Table) error {
		if mixedFamilies(dp) {
			return fmt.Errorf("%w: a destination of another family than its service cannot be synchronised", ErrInvalid)
		}
		link, err := netlink.LinkByName(d.Interface)
		if err != nil {
			return fmt.Errorf("%s: %w", d.Interface, ErrNoDevice)
		}
		if dp.Settings().Daemon[role].Running != 0 {
			return fmt.Errorf("%s: %w", d.Role, ErrDaemonRunning)
		}
		dp.Settings().Daemon[role] = daemonRecord(d.WithDefaults(link.Attrs().MTU))
		return nil
	})
}

// StopDaemon ends a daemon.
func (t *Table) StopDaemon(role string, syncID uint8) error {
	i := slices.Index(roles[:], role)
	missing := fmt.Errorf("%s: %w", role, ErrNoDaemon)
	if i < 0 {
		return missing
	}
	return t.editExisting(missing, func(dp *datapath.Table) error {
		if dp.Settings().Daemon[i].Running == 0 {
			return missing
		}
		dp.Settings().Daemon[i] = datapath.Daemon{}
		return nil
	})
}
