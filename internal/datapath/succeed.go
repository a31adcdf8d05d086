package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// succeed puts the programs of a in the place of those of old, on every interface that
// has them, one door after the other; what holds them is pinned by both then.
func (a attacher) succeed(old attacher) error {
	entries, err := os.ReadDir(old.linkPath(""))
	if err != nil {
		return fmt.Errorf("links: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		note := noteOf(name)
		if note == "" {
			err = a.succeedLink(old.linkPath(name), name)
		} else {
			err = a.succeedFilters(note, name)
		}
		if err != nil && !vanished(err) {
			return fmt.Errorf("program for %s: %w", name, err)
		}
	}
	return nil
}

// hasTaken reports whether all interfaces that old has are pinned here too: then they
// have the programs of a.
func (a attacher) hasTaken(old attacher) (bool, error) {
	entries, err := os.ReadDir(old.linkPath(""))
	if err != nil {
		return false, fmt.Errorf("links: %w", err)
	}
	for _, e := range entries {
		if !exists(a.linkPath(e.Name())) {
			return false, nil
		}
	}
	return true, nil
}

// noteOf returns what a note of filters begins with, "" for the name of a link.
func noteOf(name string) string {
	for _, note := range []string{clsactOwnNote, clsactNote} {
		if strings.HasPrefix(name, note) {
			return note
		}
	}
	return ""
}

// vanished reports whether an error says that an interface went meanwhile.
func vanished(err error) bool {
	return errors.Is(err, unix.ENOLINK) || errors.Is(err, unix.ENODEV)
}

// succeedLink updates a pinned link, which to a packet is one step, and pins it here too.
func (a attacher) succeedLink(path, name string) error {
	held, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return err
	}
	defer held.Close()
	if linkIfindex(held) == 0 {
		return nil // its interface is gone
	}
	p, err := a.programOf(name)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := held.Update(p); err != nil {
		return err
	}
	info, err := held.Info()
	if err != nil {
		return err
	}
	if exists(a.linkPath(name)) {
		return nil // by one that was killed
	}
	again, err := link.NewFromID(info.ID) // pinning what is pinned would move its pin
	if err != nil {
		return err
	}
	defer again.Close()
	return again.Pin(a.linkPath(name))
}

// programOf loads the program for a link by the name of its pin.
func (a attacher) programOf(pin string) (*ebpf.Program, error) {
	prefix, _, _ := strings.Cut(pin, "-")
	for _, d := range append([]door{a.xdp}, a.tc...) {
		if d.name == prefix {
			return ebpf.LoadPinnedProgram(filepath.Join(a.dir, d.program), nil)
		}
	}
	return nil, fmt.Errorf("no door has links of this name")
}

// succeedFilters replaces the filters of an interface, each in one step.
func (a attacher) succeedFilters(note, name string) error {
	ifindex, err := strconv.Atoi(strings.TrimPrefix(name, note))
	if err != nil {
		return err
	}
	return a.putFilters(note, facts{Index: ifindex, Name: name})
}
