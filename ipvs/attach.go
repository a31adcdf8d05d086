package ipvs

import (
	"fmt"
	"strconv"
	"time"

	"github.com/evs-project/evs/internal/datapath"
)

// AttachMode says by which door packets of an interface enter the data path.
type AttachMode string

// The modes. tc works on every Ethernet interface; xdp is faster where the
// driver runs it; auto chooses by driver; off attaches nothing.
const (
	AttachAuto AttachMode = "auto"
	AttachXDP  AttachMode = "xdp"
	AttachTC   AttachMode = "tc"
	AttachOff  AttachMode = "off"
)

// Attachment is the state of one interface.
type Attachment struct {
	Interface string
	Index     int
	Mode      AttachMode // asked for, of the interface or the namespace
	Doors     []string   // open: "tc", "xdp" or both; tc is the slow path of xdp
	Reason    string     // why these
}

// Attach sets the mode of the named interfaces, or without names that of the
// whole namespace, also for interfaces that appear later; it ends the modes of
// single interfaces then. The table is created where it is missing. If an
// interface cannot take its program, an error says why and everything is as it
// was before.
func (t *Table) Attach(mode AttachMode, interfaces ...string) error {
	m, err := datapath.ParseMode(string(mode))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return t.edit(func(dp *datapath.Table) error { return dp.Attach(m, interfaces) })
}

// Detach takes the programs off the named interfaces, or without names off all
// of them, and keeps them off until Attach. The table and its connections stay.
func (t *Table) Detach(interfaces ...string) error {
	return t.editExisting(ErrNoTable, func(dp *datapath.Table) error {
		return dp.Attach(datapath.ModeOff, interfaces)
	})
}

// Generation says which programs serve a table, or would.
type Generation struct {
	Version  string // of the evs that they came with
	Programs string // a digest of what they were compiled to
	Layout   uint32 // of the records in the kernel
}

// Status is the state of the table as a whole.
type Status struct {
	Kernel string
	// Running are the programs that serve the table, Own those that this program
	// has with it. Where they differ, Upgrade puts the one in the other's place.
	Running, Own Generation
	// Mode is that of the namespace.
	Mode        AttachMode
	Attachments []Attachment
	Services    int
	// Conns are the connections in use, of IPv4 and of IPv6 together; the table
	// has room for Capacity of the one and Capacity6 of the other, and takes
	// Bytes of memory for them.
	Conns     int
	Capacity  int
	Capacity6 int
	Bytes     int64
	// BytesEach are those that a connection of IPv4 takes, BytesEach6 one of IPv6,
	// when the table is full.
	BytesEach, BytesEach6 float64
	// HalfOpen are those of them of which one end alone has spoken; not more than
	// so many fit of IPv4 and of IPv6, and when those are reached the oldest give
	// way. HalfOpenEvicted counts those that did.
	HalfOpen        int
	HalfOpenPlaces  int
	HalfOpenPlaces6 int
	HalfOpenEvicted uint64
	// Timer is how long ago the expiry timer ran: a fraction of a second.
	Timer time.Duration
	// Counters are the events of the data path by name: new connections, and
	// for each reason how many packets it left or dropped.
	Counters []Counter
}

// Counter is an event of the data path and how often it came about.
type Counter struct {
	Name  string
	Count uint64
	About string
}

// Status returns the state of the table, or ErrNoTable. Of a table with another layout
// than this program's it returns what serves it, and ErrLayout.
func (t *Table) Status() (Status, error) {
	s := Status{Kernel: datapath.KernelRelease(), Own: Generation(datapath.OwnGeneration())}
	running, err := datapath.RunningGeneration()
	if err != nil {
		return s, translate(err)
	}
	s.Running = Generation(running)
	err = t.editor.View(func(dp *datapath.Table) (err error) {
		s.Mode = AttachMode(datapath.Mode(dp.Settings().Mode).String())
		s.Services = len(dp.Services())
		if s.Attachments, err = attachments(dp); err != nil {
			return err
		}
		v4, v6, bytes, err := dp.Capacities()
		if err != nil {
			return err
		}
		s.Capacity, s.Capacity6, s.Bytes = v4.Conns, v6.Conns, bytes
		s.BytesEach, s.BytesEach6 = float64(v4.Bytes)/float64(v4.Conns), float64(v6.Bytes)/float64(v6.Conns)
		s.HalfOpen, s.HalfOpenPlaces, s.HalfOpenPlaces6 = v4.HalfOpen+v6.HalfOpen, v4.HalfOpenPlaces, v6.HalfOpenPlaces
		for _, err := range dp.Conns() {
			if err != nil {
				return err
			}
			s.Conns++
		}
		if s.Timer, err = dp.TimerAge(); err != nil {
			return err
		}
		s.Counters, s.HalfOpenEvicted, err = counters(dp)
		return err
	})
	return s, translate(err)
}

// Attachments returns the mode of the namespace and the state of its interfaces:
// AttachAuto and none where there is no table.
func (t *Table) Attachments() (AttachMode, []Attachment, error) {
	mode, all := AttachAuto, []Attachment(nil)
	err := t.view(func(dp *datapath.Table) (err error) {
		mode = AttachMode(datapath.Mode(dp.Settings().Mode).String())
		all, err = attachments(dp)
		return err
	})
	return mode, all, err
}

func attachments(dp *datapath.Table) ([]Attachment, error) {
	list, err := dp.Attachments()
	var all []Attachment
	for _, a := range list {
		all = append(all, Attachment{
			Interface: a.Interface, Index: a.Index, Mode: AttachMode(a.Mode.String()),
			Doors: a.Doors, Reason: a.Reason,
		})
	}
	return all, err
}

func counters(dp *datapath.Table) (all []Counter, evicted uint64, err error) {
	counts, err := dp.Counters()
	if err != nil {
		return nil, 0, err
	}
	for _, r := range datapath.Reasons {
		all = append(all, Counter{Name: r.Name, Count: counts[r.Name], About: r.About})
	}
	return all, counts[datapath.HalfOpenEvicted], nil
}

// Upgrade puts the programs that this program has with it in the place of those that
// serve the table, while packets flow. Services, connections, counters and attachments
// stay. It fails with ErrNoTable where there is no table.
func (t *Table) Upgrade() error { return translate(t.editor.Upgrade(t.ctx)) }

// Resize makes room in the table for so many connections of IPv4 and as many of IPv6,
// while packets flow; 0 chooses by memory, as for a new table. It is to set
// conn_tab_size: connections stay, and the table has the programs that this program has
// with it then. If not all connections that there are would have room, it fails with
// ErrNoSpace and nothing has changed.
func (t *Table) Resize(conns int) error {
	return t.SetSysctl("conn_tab_size", strconv.Itoa(conns))
}

// Unload removes the table of this network namespace: programs, services,
// connections. It reports whether there was one. Remains of namespaces that
// died with a table are cleared too.
func (t *Table) Unload() (bool, error) {
	if err := t.Close(); err != nil {
		return false, err
	}
	had, err := datapath.Unload(t.ctx)
	return had, translate(err)
}
