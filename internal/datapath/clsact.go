package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Kernels before 6.6 have no tcx. There the tc programs are direct-action
// filters of a clsact queueing discipline, which no link holds: so one of them
// is pinned once more as a note of which interfaces have it, and whether the
// discipline is ours to remove.
const (
	clsactNote    = "clsact-"    // the discipline was there
	clsactOwnNote = "clsactown-" // it is ours
)

// clsactFilters are the filters of an interface, in places of their own; other
// filters keep theirs.
func (a attacher) clsactFilters(ifindex int) (filters []*netlink.BpfFilter) {
	for _, d := range a.tc {
		filters = append(filters, &netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{
				LinkIndex: ifindex, Parent: d.parent,
				Handle: uint32(a.clsact), Protocol: unix.ETH_P_ALL, Priority: a.clsact,
			},
			Name: d.program, DirectAction: true,
		})
	}
	return filters
}

func clsactQdisc(ifindex int) netlink.Qdisc {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
}

// openClsact attaches the programs as filters and notes it in the links.
func (a attacher) openClsact(f facts) error {
	if a.clsactNoted(f.Index) != "" {
		return nil
	}
	note := clsactOwnNote
	err := netlink.QdiscAdd(clsactQdisc(f.Index))
	if errors.Is(err, unix.EEXIST) {
		note, err = clsactNote, nil
	}
	if err != nil {
		return attachError(a.tc[0], f, err)
	}
	if err := a.putFilters(note, f); err != nil {
		return errors.Join(attachError(a.tc[0], f, err), a.shutClsact(f.Index))
	}
	return nil
}

// putFilters attaches the programs, in the place of those that are there, and notes it.
func (a attacher) putFilters(note string, f facts) error {
	for i, filter := range a.clsactFilters(f.Index) {
		p, err := ebpf.LoadPinnedProgram(filepath.Join(a.dir, filter.Name), nil)
		if err != nil {
			return fmt.Errorf("tc filter of %s: %w", f.Name, err)
		}
		filter.Fd = p.FD()
		// The note comes first: what is noted is removed, also after a crash.
		if i == 0 {
			err = a.noteClsact(p, note, f)
		}
		if err == nil {
			err = netlink.FilterReplace(filter)
		}
		p.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (a attacher) noteClsact(p *ebpf.Program, note string, f facts) error {
	noted, err := p.Clone() // pinning p itself would move its pin
	if err != nil {
		return err
	}
	defer noted.Close()
	return noted.Pin(a.linkPath(note + strconv.Itoa(f.Index)))
}

// clsactNoted returns the name of the note about an interface, "" without one.
func (a attacher) clsactNoted(ifindex int) string {
	for _, note := range []string{clsactNote, clsactOwnNote} {
		if name := note + strconv.Itoa(ifindex); exists(a.linkPath(name)) {
			return name
		}
	}
	return ""
}

// shutClsact removes the filter of an interface, and the discipline if it is
// ours and nothing else is in it.
func (a attacher) shutClsact(ifindex int) error {
	name := a.clsactNoted(ifindex)
	if name == "" {
		return nil
	}
	var err error
	for _, filter := range a.clsactFilters(ifindex) {
		if e := netlink.FilterDel(filter); e != nil && !gone(e) {
			err = e
		}
	}
	if err == nil && strings.HasPrefix(name, clsactOwnNote) && clsactEmpty(ifindex) {
		err = netlink.QdiscDel(clsactQdisc(ifindex))
	}
	if err != nil && !gone(err) {
		return fmt.Errorf("remove the tc filter of interface %d: %w", ifindex, err)
	}
	return os.Remove(a.linkPath(name))
}

// gone reports whether an error says that there is nothing left to remove.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL)
}

func clsactEmpty(ifindex int) bool {
	link, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return false
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		if filters, err := netlink.FilterList(link, parent); err != nil || len(filters) > 0 {
			return false
		}
	}
	return true
}

// detach takes everything off the interfaces, at once.
func (a attacher) detach() error {
	entries, err := os.ReadDir(a.linkPath(""))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("links: %w", err)
	}
	var errs []error
	for _, e := range entries {
		name := strings.TrimPrefix(strings.TrimPrefix(e.Name(), clsactNote), clsactOwnNote)
		if ifindex, err := strconv.Atoi(name); err == nil {
			errs = append(errs, a.shutClsact(ifindex))
			continue
		}
		errs = append(errs, dropLink(a.linkPath(e.Name())))
	}
	return errors.Join(errs...)
}
