package director

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/ipvs"
)

// RecordDir is where changes that wait to be confirmed are written down.
const RecordDir = "/run/evs/apply"

// What Ledger's methods fail with.
var (
	ErrNothingPending = errors.New("nothing waits to be confirmed in this network namespace")
	ErrPending        = errors.New("changes wait to be confirmed")
	ErrLate           = errors.New("the time to confirm is over")
)

// Pending are changes that wait to be confirmed, and the way back.
type Pending struct {
	Boot   string // tells records of this boot from older ones
	PID    int
	File   string
	Since  time.Time
	Until  time.Time
	Before Wanted

	// Watched says that the process still runs which takes them back.
	Watched bool `json:"-"`
}

// Outcome is how waiting ended.
type Outcome string

// The outcomes.
const (
	Waiting    Outcome = ""
	Confirmed  Outcome = "confirmed"
	RolledBack Outcome = "rolled back"
)

// Ledger writes down, for the calling thread's network namespace, changes that wait
// to be confirmed: one at a time. The process that made them holds a lock on the
// record, so that it is seen whether it lives.
type Ledger struct{ Dir string }

// path is where the record of this namespace is.
func (l Ledger) path() (string, error) {
	cookie, err := hostnet.Cookie()
	return filepath.Join(l.Dir, fmt.Sprintf("%x.json", cookie)), err
}

// lock keeps other processes out that change the table of this namespace. Those of
// other namespaces have locks of their own: one may be making its table, which takes a
// while.
func (l Ledger) lock() (*os.File, error) {
	path, err := l.path()
	if err != nil {
		return nil, err
	}
	return hostnet.LockDir(strings.TrimSuffix(path, ".json") + ".lock")
}

// Pending returns the changes that wait to be confirmed, or ErrNothingPending.
func (l Ledger) Pending() (Pending, error) {
	var p Pending
	path, err := l.path()
	if err != nil {
		return p, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, ErrNothingPending
	}
	if err != nil {
		return p, err
	}
	defer f.Close()
	boot, err := hostnet.BootID()
	if err != nil {
		return p, err
	}
	if err := json.NewDecoder(f).Decode(&p); err != nil {
		return p, fmt.Errorf("the record of changes to be confirmed, %s, is damaged: %w; if the table is as it should be, delete it", path, err)
	}
	if p.Boot != boot {
		return p, ErrNothingPending
	}
	p.Watched = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
	return p, nil
}

// exclusively runs do while no other process does so. It fails with ErrPending if
// there are changes that wait.
func (l Ledger) exclusively(do func() error) error {
	lock, err := l.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := l.Pending(); err == nil {
		return ErrPending
	} else if !errors.Is(err, ErrNothingPending) {
		return err
	}
	return do()
}

// Apply is Apply, unless changes wait to be confirmed.
func (l Ledger) Apply(t *ipvs.Table, want Wanted) (done []Change, err error) {
	err = l.exclusively(func() error {
		done, err = Apply(t, want)
		return err
	})
	return done, err
}

// Trial are changes made that wait to be confirmed.
type Trial struct {
	record *os.File
	size   int64 // of the record while nothing has been decided
	left   time.Duration
}

// Try applies what is wanted as Apply does, having written down the way back. What
// is returned waits to be confirmed, or is nil if there was nothing to do.
func (l Ledger) Try(t *ipvs.Table, want Wanted, file string, within time.Duration) (done []Change, trial *Trial, err error) {
	err = l.exclusively(func() error {
		have, plan, err := prepare(t, want)
		if err != nil || len(plan) == 0 {
			return err
		}
		now := time.Now()
		p := Pending{PID: os.Getpid(), File: file, Since: now, Until: now.Add(within), Before: have.Kept()}
		if trial, err = l.write(p); err != nil {
			return fmt.Errorf("write down the way back: %w", err)
		}
		if done, err = carryOut(t, have, want, plan); err != nil {
			err = errors.Join(err, l.erase(RolledBack), trial.Close())
			trial = nil
		}
		return err
	})
	if trial != nil {
		trial.left = within
	}
	return done, trial, err
}

// write writes a record, locked before it is seen.
func (l Ledger) write(p Pending) (*Trial, error) {
	path, err := l.path()
	if err != nil {
		return nil, err
	}
	if p.Boot, err = hostnet.BootID(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	draft := path + ".new"
	f, err := os.OpenFile(draft, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	text = append(text, '\n')
	_, err = f.Write(text)
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	}
	if err == nil {
		err = os.Rename(draft, path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Trial{record: f, size: int64(len(text))}, nil
}

// erase takes a record away. Who waits reads in it, by then without a name, how it
// ended.
func (l Ledger) erase(how Outcome) error {
	path, err := l.path()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(string(how)); err != nil {
		return err
	}
	return os.Remove(path)
}

// end runs do on what waits, and then ends the waiting.
func (l Ledger) end(how Outcome, do func(Pending) error) error {
	lock, err := l.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	p, err := l.Pending()
	if err != nil {
		return err
	}
	if err := do(p); err != nil {
		return err
	}
	return l.erase(how)
}

// Confirm keeps the changes. If it comes too late, as nobody was there to take them
// back, it fails with ErrLate, unless that is said to be right.
func (l Ledger) Confirm(late bool) (confirmed Pending, err error) {
	err = l.end(Confirmed, func(p Pending) error {
		confirmed = p
		if !late && !p.Watched && time.Now().After(p.Until) {
			return ErrLate
		}
		return l.noteConfirmed(p)
	})
	return confirmed, err
}

// RollBack makes the table what it was before the changes.
func (l Ledger) RollBack(t *ipvs.Table) (done []Change, err error) {
	err = l.end(RolledBack, func(p Pending) error {
		before := p.Before
		before.Interfaces = maps.Clone(before.Interfaces)
		maps.DeleteFunc(before.Interfaces, func(name string, _ ipvs.AttachMode) bool {
			_, err := net.InterfaceByName(name)
			return err != nil // it went meanwhile
		})
		done, err = Apply(t, before)
		return err
	})
	return done, err
}

// lookEvery is how often a trial looks whether it was decided.
const lookEvery = 50 * time.Millisecond

// Wait waits until the changes are confirmed or taken back by someone, their time is
// over, or ctx ends: in both latter cases nothing is decided, and the answer is
// Waiting.
func (t *Trial) Wait(ctx context.Context) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, t.left)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if how, err := t.Outcome(); how != Waiting || err != nil {
			return how, err
		}
		select {
		case <-ctx.Done():
			return t.Outcome()
		case <-tick.C:
		}
	}
}

// Outcome is how it ended, as far as it has.
func (t *Trial) Outcome() (Outcome, error) {
	text := make([]byte, 64)
	n, err := t.record.ReadAt(text, t.size)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return Outcome(text[:n]), err
}

// Close lets go of the record.
func (t *Trial) Close() error { return t.record.Close() }
