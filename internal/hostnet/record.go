package hostnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// record remembers what Setup changed in one network namespace, and outlives
// the process in a file.
type record struct {
	// Boot tells records of this boot from older ones, whose namespaces are
	// gone though their numbers come again.
	Boot string `json:"boot"`
	// Interfaces are those that the first Setup saw. Later ones got their
	// forwarding from the switch, and follow it back.
	Interfaces []string          `json:"interfaces"`
	Settings   map[string]memory `json:"settings"`
	// Made are the changes of other kinds, in order.
	Made []Change `json:"made,omitempty"`
	// Wanted is what a real server was set up as.
	Wanted json.RawMessage `json:"wanted,omitempty"`
}

// memory is the history of one setting.
type memory struct {
	// Old is the value before the first Setup.
	Old string `json:"old"`
	// Ours are the values it had by our doing, in passing or for good. A
	// setting with any other value was changed by someone else.
	Ours []string `json:"ours"`
}

// note remembers what the changes will do to have, switches' side effects
// included.
func (r *record) note(have Facts, changes []Change) {
	now := have.Sysctl.clone()
	for _, c := range changes {
		if c.Kind != Sysctl {
			if !slices.Contains(r.Made, c) {
				r.Made = append(r.Made, c)
			}
			continue
		}
		if c.Old == "" { // of a device to be made: it goes with that
			continue
		}
		before := now.clone()
		now.set(c.Name, c.New)
		for key, value := range now {
			if before[key] == value {
				continue
			}
			m, known := r.Settings[key]
			if !known {
				m.Old = before[key]
			}
			if !slices.Contains(m.Ours, value) {
				m.Ours = append(m.Ours, value)
			}
			r.Settings[key] = m
		}
	}
	if r.Interfaces != nil {
		return
	}
	for _, l := range have.Links {
		r.Interfaces = append(r.Interfaces, l.Name)
	}
}

// restore decides how to get back: the values wanted, and a sentence for each
// setting that is better left alone.
func (r *record) restore(now Values) (want Values, notes []string) {
	want = Values{}
	for _, key := range slices.Sorted(maps.Keys(r.Settings)) {
		m := r.Settings[key]
		value, exists := now[key]
		switch {
		case !exists:
			notes = append(notes, fmt.Sprintf("%s is gone with its interface: nothing to restore", key))
		case value == m.Old:
		case slices.Contains(m.Ours, value):
			want[key] = m.Old
		default:
			notes = append(notes, fmt.Sprintf("%s was set to %s by setup and is %s now: someone else changed it, so it is left alone (it was %s before setup)", key, m.Ours[len(m.Ours)-1], value, m.Old))
		}
	}
	return want, notes
}

// undo decides how to take back what was made, the last first: a VIP is gone
// before the settings that kept it silent. What is not there any more is passed
// over.
func (r *record) undo(now Facts) (changes []Change, notes []string) {
	for _, c := range slices.Backward(r.Made) {
		if !now.made(c) {
			notes = append(notes, fmt.Sprintf("`%s` was undone by someone else: nothing to restore", c.Command()))
			continue
		}
		changes = append(changes, c.inverse())
	}
	return changes, notes
}

// known strips now of forwarding settings of interfaces that came after Setup.
func (r *record) known(now Values) Values {
	kept := now.clone()
	maps.DeleteFunc(kept, func(key, _ string) bool {
		iface, ok := forwardingOf(key)
		return ok && !slices.Contains(r.Interfaces, iface)
	})
	return kept
}

func (r *record) clone() *record {
	c := &record{
		Boot: r.Boot, Interfaces: slices.Clone(r.Interfaces), Settings: map[string]memory{},
		Made: slices.Clone(r.Made), Wanted: slices.Clone(r.Wanted),
	}
	for key, m := range r.Settings {
		c.Settings[key] = memory{Old: m.Old, Ours: slices.Clone(m.Ours)}
	}
	return c
}

// loadRecord returns an empty record when there is none of this boot.
func loadRecord(path string) (*record, error) {
	boot, err := BootID()
	if err != nil {
		return nil, err
	}
	fresh := &record{Boot: boot, Settings: map[string]memory{}}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the record of what setup changed: %w", err)
	}
	r := &record{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("the record of what setup changed, %s, is damaged: %w; restore the settings by hand and delete it", path, err)
	}
	if r.Boot != boot || r.Settings == nil {
		return fresh, nil
	}
	return r, nil
}

func (r *record) empty() bool { return len(r.Settings) == 0 && len(r.Made) == 0 && r.Wanted == nil }

// save writes the record beside its place and renames it there, so that a crash
// leaves the old one or the new one. An empty record is no file.
func (r *record) save(path string) error {
	if r.empty() {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the record of what setup changed: %w", err)
		}
		return nil
	}
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	draft := path + ".new"
	if err := os.WriteFile(draft, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("record what setup changes: %w", err)
	}
	if err := os.Rename(draft, path); err != nil {
		return fmt.Errorf("record what setup changes: %w", err)
	}
	return nil
}

// LockDir opens a directory of records, creating it, and keeps other
// processes out until the file is closed.
func LockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("directory of records: %w", err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("directory of records: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// Cookie is the number of the calling thread's network namespace, unique until
// the next boot.
func Cookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("number of the network namespace: %w", err)
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("number of the network namespace: %w (Linux 5.14 or later has it)", err)
	}
	return cookie, nil
}

func recordPath(dir string) (string, error) {
	cookie, err := Cookie()
	return filepath.Join(dir, fmt.Sprintf("%d.json", cookie)), err
}

// BootID is another each time the machine starts.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// Forget drops the records of the calling thread's network namespace, for one
// that is about to be deleted: those in dir, or in their own places if it is empty.
func Forget(dir string) error {
	var errs []error
	for _, role := range []Role{DirectorRole, RealServerRole} {
		o := Options{role: role, RecordDir: dir}
		path, err := recordPath(o.recordDir())
		if err == nil {
			err = (&record{}).save(path)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
