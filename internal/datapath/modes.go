package datapath

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

type ifname = controlIfname

func nameKey(name string) (k ifname) {
	for i := range min(len(name), len(k.Name)-1) {
		k.Name[i] = int8(name[i])
	}
	return k
}

// modes are what was asked for: of the namespace, and of single interfaces.
type modes struct {
	table *Table
	own   *ebpf.Map
}

func (t *Table) modes() (modes, error) {
	own, err := ebpf.LoadPinnedMap(filepath.Join(t.place.table(), controlMapAttachModes), nil)
	if err != nil {
		return modes{}, fmt.Errorf("modes of attachment: %w", err)
	}
	return modes{table: t, own: own}, nil
}

func (m modes) of(name string) Mode {
	var mode uint32
	if err := m.own.Lookup(nameKey(name), &mode); err == nil {
		return Mode(mode)
	}
	return Mode(m.table.Settings().Mode)
}

func (t *Table) attacher() attacher { return tableAttacher(t.place.table()) }

// attachAll brings every interface to its mode: also those that appeared, or
// went, since the last command. An interface whose driver refuses XDP is an
// error if it was asked about now; otherwise tc carries it on, lest a bridge
// that somebody added keep the table from being edited.
func (t *Table) attachAll(asked func(name string) bool) error {
	m, err := t.modes()
	if err != nil {
		return err
	}
	defer m.own.Close()
	present, err := interfaces()
	if err != nil {
		return err
	}
	a := t.attacher()
	err = errors.Join(a.dropStale(append(present, loopback)), a.tellAddrs(present),
		a.setLoopback(Mode(t.Settings().Mode)))
	if err != nil {
		return err
	}
	for _, f := range present {
		err := a.set(f, m.of(f.Name), asked(f.Name))
		if errors.Is(err, unix.ENODEV) {
			err = nil // it went after it was listed, which is no fault of the edit
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Attach sets the mode of the named interfaces, or without names that of the
// namespace, now and for interfaces that appear later. If an interface cannot
// take its program, everything is as before.
func (t *Table) Attach(mode Mode, names []string) error {
	present, err := interfaces()
	if err != nil {
		return err
	}
	if err := checkNames(names, present); err != nil {
		return err
	}
	m, err := t.modes()
	if err != nil {
		return err
	}
	defer m.own.Close()
	undo, err := m.store(mode, names)
	if err != nil {
		return err
	}
	asked := func(name string) bool { return len(names) == 0 || slices.Contains(names, name) }
	if err := t.attachAll(asked); err != nil {
		return errors.Join(err, undo(), t.attachAll(nobody))
	}
	return nil
}

// nobody asks about an interface.
func nobody(string) bool { return false }

func checkNames(names []string, present []facts) error {
	for _, name := range names {
		if !slices.ContainsFunc(present, func(f facts) bool { return f.Name == name }) {
			return fmt.Errorf("no Ethernet interface %q in this network namespace: see `ip link`; lo is never attached", name)
		}
	}
	return nil
}

// store writes the modes and returns how to take them back. A mode for the
// whole namespace ends those of single interfaces.
func (m modes) store(mode Mode, names []string) (undo func() error, err error) {
	before, old := map[ifname]uint32{}, m.table.Settings().Mode
	var key ifname
	var value uint32
	it := m.own.Iterate()
	for it.Next(&key, &value) {
		before[key] = value
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("modes of attachment: %w", err)
	}
	undo = func() error {
		m.table.Settings().Mode = old
		return m.replace(before)
	}
	after := map[ifname]uint32{}
	if len(names) == 0 {
		m.table.Settings().Mode = uint32(mode)
	} else {
		for k, v := range before {
			after[k] = v
		}
		for _, name := range names {
			after[nameKey(name)] = uint32(mode)
		}
	}
	return undo, m.replace(after)
}

func (m modes) replace(want map[ifname]uint32) error {
	var gone []ifname
	var key ifname
	var value uint32
	it := m.own.Iterate()
	for it.Next(&key, &value) {
		if _, keep := want[key]; !keep {
			gone = append(gone, key)
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("modes of attachment: %w", err)
	}
	for _, k := range gone {
		if err := m.own.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("modes of attachment: %w", err)
		}
	}
	for k, v := range want {
		if err := m.own.Put(k, v); err != nil {
			return fmt.Errorf("modes of attachment: %w", err)
		}
	}
	return nil
}

// Attachments returns the state of every Ethernet interface but lo.
func (t *Table) Attachments() ([]Attachment, error) {
	m, err := t.modes()
	if err != nil {
		return nil, err
	}
	defer m.own.Close()
	present, err := interfaces()
	if err != nil {
		return nil, err
	}
	var all []Attachment
	for _, f := range present {
		mode := m.of(f.Name)
		doors, reason := t.attacher().doors(f), choose(f, mode).Reason
		if mode == ModeXDP && slices.Equal(doors, []string{tcDoor.name}) {
			reason = fmt.Sprintf("asked for, but refused: `evs attach --mode xdp %s` says why", f.Name)
		}
		all = append(all, Attachment{Interface: f.Name, Index: f.Index, Mode: mode, Doors: doors, Reason: reason})
	}
	return all, nil
}
