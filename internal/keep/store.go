package keep

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/ipvs"
)

// What Store's methods fail with.
var (
	ErrTaken    = errors.New("another director keeps its drains and overrides in this file")
	ErrNone     = errors.New("there is no such one")
	ErrFromFile = errors.New("the director's file gives the server weight 0: give it another there")
)

// version is that of the state file.
const version = 1

// state is what is in the file. Times of a process that runs have monotonic clocks,
// so that a leap of the clock ends nothing; those that were read have not.
type state struct {
	Version   int                 `json:"version"`
	Last      uint64              `json:"last"` // of the IDs
	Drains    map[string]Drain    `json:"drains"`
	Overrides map[string]Override `json:"overrides"`
}

// Store holds drains and overrides. Every method may be called at any time, by
// several goroutines; what it returns is the caller's. A change is in the file when
// its method returns; if it could not be written, the change was not made.
type Store struct {
	file string
	lock *os.File // as long as it is open, no other process has the file

	mu      sync.Mutex
	state   state
	changed chan struct{}
}

// Open reads the file, which need not be there yet, and keeps other processes from it.
// A file that is damaged is an error: what an operator said is not to be forgotten in
// silence.
func Open(file string) (*Store, error) {
	lock, err := take(file)
	if err != nil {
		return nil, err
	}
	s := &Store{file: file, lock: lock, changed: make(chan struct{}),
		state: state{Version: version, Drains: map[string]Drain{}, Overrides: map[string]Override{}}}
	if err := s.state.read(file); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// Close lets others have the file.
func (s *Store) Close() error { return s.lock.Close() }

// take locks the file, by one beside it, as it is itself replaced with each change.
func take(file string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(file+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s: name another", ErrTaken, file)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// read reads the file on top of an empty state.
func (st *state) read(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, st); err != nil {
		return fmt.Errorf("the record of drains and overrides, %s, is damaged: %w; delete it to begin without any", file, err)
	}
	if st.Drains == nil {
		st.Drains = map[string]Drain{}
	}
	if st.Overrides == nil {
		st.Overrides = map[string]Override{}
	}
	if st.Version != version {
		return fmt.Errorf("the record of drains and overrides, %s, is of version %d, and this program reads %d; delete it to begin without any", file, st.Version, version)
	}
	return nil
}

// Said is what operators have said of one destination.
type Said struct {
	// Drain is the narrowest there is, nil for none. It goes before Override: the
	// weight is 0.
	Drain *Drain
	// Override is the narrowest there is, of equals the youngest; nil for none.
	Override *Override
}

// Said returns what has been said of a destination that still holds.
func (s *Store) Said(k ipvs.ServiceKey, server netip.AddrPort, now time.Time) (said Said) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.drains() {
		if d.Covers(k, server) {
			said.Drain = &d
			break
		}
	}
	for _, o := range s.overrides() {
		if o.Covers(k, server) && !o.over(now) {
			said.Override = &o
			break
		}
	}
	return said
}

func (o Override) over(now time.Time) bool { return !o.Until.IsZero() && !now.Before(o.Until) }

// drains are all of them, the narrowest first; mu is held.
func (s *Store) drains() []Drain {
	return slices.SortedFunc(maps.Values(s.state.Drains), func(a, b Drain) int {
		return cmp.Or(narrower(a.Scope, b.Scope), number(a.ID)-number(b.ID))
	})
}

// overrides are all of them, the narrowest and youngest first; mu is held.
func (s *Store) overrides() []Override {
	return slices.SortedFunc(maps.Values(s.state.Overrides), func(a, b Override) int {
		return cmp.Or(narrower(a.Scope, b.Scope), number(b.ID)-number(a.ID))
	})
}

func number(id string) int {
	n, _ := strconv.Atoi(id)
	return n
}

// Drains are all there are, in the order in which they began.
func (s *Store) Drains() []Drain {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.state.Drains), func(a, b Drain) int { return number(a.ID) - number(b.ID) })
}

// Overrides are those that hold, in the order in which they began.
func (s *Store) Overrides(now time.Time) []Override {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.SortedFunc(maps.Values(s.state.Overrides), func(a, b Override) int { return number(a.ID) - number(b.ID) })
	return slices.DeleteFunc(all, func(o Override) bool { return o.over(now) })
}

// Changed returns a channel that is closed when a drain or an override comes, goes or
// has other terms: then weights have to be worked out anew. How a drain goes on
// does not close it.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// change makes a change of a copy, writes it down and then takes it over; tell wakes
// those who wait for changes.
func (s *Store) change(tell bool, do func(*state) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.state
	next.Drains, next.Overrides = maps.Clone(next.Drains), maps.Clone(next.Overrides)
	if err := do(&next); err != nil {
		return err
	}
	if maps.Equal(next.Drains, s.state.Drains) && maps.Equal(next.Overrides, s.state.Overrides) {
		return nil
	}
	if err := write(s.file, next); err != nil {
		return fmt.Errorf("write down drains and overrides: %w", err)
	}
	s.state = next
	if tell {
		close(s.changed)
		s.changed = make(chan struct{})
	}
	return nil
}

// AddDrain begins a drain and returns it with its ID. One of the same scope that
// there is already keeps its ID, and begins anew.
func (s *Store) AddDrain(d Drain) (Drain, error) {
	err := s.change(true, func(st *state) error {
		d.ID = ""
		for id, other := range st.Drains {
			if other.Scope == d.Scope && other.Origin == d.Origin {
				d.ID = id
			}
		}
		st.name(&d.ID)
		st.Drains[d.ID] = d
		return nil
	})
	return d, err
}

// name gives what has no ID one.
func (st *state) name(id *string) {
	if *id == "" {
		st.Last++
		*id = strconv.FormatUint(st.Last, 10)
	}
}

// DeleteDrain ends a drain that was begun by hand: its servers get their weights back.
func (s *Store) DeleteDrain(id string) error {
	return s.change(true, func(st *state) error {
		d, ok := st.Drains[id]
		if !ok {
			return fmt.Errorf("drain %s: %w", id, ErrNone)
		}
		if d.Origin == ByFile {
			return fmt.Errorf("drain of %s: %w", d.Scope, ErrFromFile)
		}
		delete(st.Drains, id)
		return nil
	})
}

// Went notes how a drain has gone on, unless it has ended or begun anew meanwhile. Only
// what has to outlive a restart is written down: that it has come to another phase.
func (s *Store) Went(d Drain) error {
	s.mu.Lock()
	was, ok := s.state.Drains[d.ID]
	same := ok && was.Since.Equal(d.Since)
	lasting := was.lasting() != d.lasting()
	if same && !lasting {
		s.state.Drains[d.ID] = d
	}
	s.mu.Unlock()
	if !same || !lasting {
		return nil
	}
	return s.change(false, func(st *state) error {
		if was, ok := st.Drains[d.ID]; ok && was.Since.Equal(d.Since) {
			st.Drains[d.ID] = d
		}
		return nil
	})
}

// lasting is what a restart must not forget.
func (d Drain) lasting() any {
	return [...]any{d.Expelled, d.Kept, d.Phase, d.Rested.IsZero()}
}

// Declare makes the drains of the file exactly these. One that is there already goes
// on as it is, with the terms that the file has now.
func (s *Store) Declare(wanted []Drain) error {
	return s.change(true, func(st *state) error {
		was := map[Scope]Drain{}
		for id, d := range st.Drains {
			if d.Origin == ByFile {
				was[d.Scope] = d
				delete(st.Drains, id)
			}
		}
		for _, d := range wanted {
			d.Origin = ByFile
			if old, ok := was[d.Scope]; ok {
				terms := d.Deadline.Sub(d.Since)
				old.Deadline = old.Since.Add(terms)
				old.AtDeadline, old.Persistence = d.AtDeadline, d.Persistence
				d = old
			}
			st.name(&d.ID)
			st.Drains[d.ID] = d
		}
		return nil
	})
}

// AddOverride adds an override and returns it with its ID. It takes the place of one of
// the same scope.
func (s *Store) AddOverride(o Override) (Override, error) {
	err := s.change(true, func(st *state) error {
		o.ID = ""
		for id, other := range st.Overrides {
			if other.Scope == o.Scope {
				o.ID = id
			}
		}
		st.name(&o.ID)
		st.Overrides[o.ID] = o
		return nil
	})
	return o, err
}

// DeleteOverride ends an override.
func (s *Store) DeleteOverride(id string) error {
	return s.change(true, func(st *state) error {
		if _, ok := st.Overrides[id]; !ok {
			return fmt.Errorf("override %s: %w", id, ErrNone)
		}
		delete(st.Overrides, id)
		return nil
	})
}

// Expire forgets the overrides that are over, and reports whether there were such.
func (s *Store) Expire(now time.Time) (bool, error) {
	s.mu.Lock()
	any := slices.ContainsFunc(slices.Collect(maps.Values(s.state.Overrides)), func(o Override) bool { return o.over(now) })
	s.mu.Unlock()
	if !any {
		return false, nil
	}
	return true, s.change(true, func(st *state) error {
		maps.DeleteFunc(st.Overrides, func(_ string, o Override) bool { return o.over(now) })
		return nil
	})
}

// write replaces the file as a whole: whoever reads it, also after a crash, finds
// either state.
func write(file string, st state) error {
	text, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, filepath.Base(file)+".*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
