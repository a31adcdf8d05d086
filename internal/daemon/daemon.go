package daemon

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/api"
	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/director"
	"github.com/evs-project/evs/internal/discovery"
	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/keep"
	"github.com/evs-project/evs/internal/source"
	"github.com/evs-project/evs/internal/weight"
	"github.com/evs-project/evs/ipvs"
)

// Options are what a daemon has to know.
type Options struct {
	// Version is the program's, File the director's file.
	Version string
	File    string
	Log     *slog.Logger
	// Hangups ask to read the file anew.
	Hangups <-chan os.Signal
	// State is the file in which what operators have said is kept.
	State string
	// Ledger is where changes that wait to be confirmed are written down, and Dir
	// where the daemon shows that it is there.
	Ledger director.Ledger
	Dir    string
	// Supervisor is told how the daemon does.
	Supervisor Supervisor
}

// The daemon's times.
const (
	// beat is how often it looks whether anybody has changed services, or changes
	// on trial, and how often weights move.
	beat = time.Second
	// inspection is how often it looks at the whole table.
	inspection = 5 * time.Second
	// gather is for how long it waits after something turned, for more that turns
	// with it.
	gather = 20 * time.Millisecond
	// leap is by how much the clock has to run away from the time that passed for
	// it to be worth a word.
	leap = 5 * time.Second
)

// Daemon is a director that runs. All but the inbox belongs to its loop.
type Daemon struct {
	Options
	log    *slog.Logger
	ledger director.Ledger
	table  *ipvs.Table
	runner *health.Runner
	// sources and searches ask for weights and for servers.
	sources  *source.Runner
	searches *discovery.Runner
	loader   *loader
	sights   sights
	hooks    *hooks
	inbox    inbox
	faults   faults
	keep     *keep.Store
	server   *api.Server

	desired *config.Desired
	pools   []*pool
	owners  map[string]owner // of tasks
	states  map[string]health.State
	marks   marks
	stale   bool   // checks via the VIP are led by marks that are no more
	edits   uint64 // as ipvs.Table.Edits, after the last edit of the daemon's own

	retry     *reading // a file that could not be acted on
	search    bool     // servers were found that have not been taken over
	history   History
	trial     trial
	actAt     time.Time // when to write what has turned, zero if nothing has
	inspectAt time.Time
	clock     clock
	alive     context.Context // over when hooks are to end
}

// History is how the file was read.
type History struct {
	Started time.Time
	Good    time.Time // when it was last acted on
	Count   int       // how often, since the start
	Tried   time.Time // when it was tried since, and failed; zero if it was not
	Err     error     // all that was wrong then
}

// mail is what happened elsewhere.
type mail struct {
	states   map[string]health.State
	readings map[string]weight.Reading
	reads    []reading
	newFound bool // other servers than before
	// failures are how things went that others do, by what they are.
	failures map[string]error
}

// inbox is where the loop learns what happened elsewhere.
type inbox struct {
	calls chan func()
	wake  chan struct{}

	mu sync.Mutex
	mail
}

func (b *inbox) stir() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// put changes what is in the inbox.
func (b *inbox) put(change func()) {
	b.mu.Lock()
	change()
	b.mu.Unlock()
	b.stir()
}

// take empties the inbox.
func (b *inbox) take() mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.mail
	b.mail = mail{states: map[string]health.State{}, readings: map[string]weight.Reading{}, failures: map[string]error{}}
	return got
}

// New makes a daemon that does nothing yet.
func New(o Options) *Daemon {
	d := &Daemon{
		Options: o, log: o.Log, ledger: o.Ledger, states: map[string]health.State{},
		faults: faults{log: o.Log, all: map[string]*Fault{}},
		hooks:  &hooks{log: o.Log, waiting: map[string]*hook{}},
	}
	d.inbox.wake, d.inbox.calls = make(chan struct{}, 1), make(chan func())
	d.inbox.take()
	d.runner = health.NewRunner(checksAtOnce(), newDice(), d.report)
	d.sources = source.NewRunner(checksAtOnce()/8, newDice(), d.counts, d.heard)
	d.searches = discovery.NewRunner(checksAtOnce()/8, newDice(), filepath.Join(filepath.Dir(o.State), "discovered"), d.searched)
	d.loader = newLoader(func(r reading) { d.inbox.put(func() { d.inbox.reads = append(d.inbox.reads, r) }) })
	return d
}

func newDice() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }

// checksAtOnce is how many checks may run at once: each may have a socket open, and
// half of those that there may be are for other purposes.
func checksAtOnce() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 512
	}
	return int(min(limit.Cur/2, 1<<14))
}

// report takes down what came of a check, if anything follows from it.
func (d *Daemon) report(key string, was, is health.State) {
	if was.Up != is.Up || !sameWeight(was.Weight, is.Weight) {
		d.inbox.put(func() { d.inbox.states[key] = is })
	}
}

func sameWeight(a, b *int) bool { return a == b || a != nil && b != nil && *a == *b }

// Run is the director until ctx is over. The file has to be right at the start; later
// a wrong one changes nothing.
func (d *Daemon) Run(ctx context.Context) error {
	claimed, err := claim(d.Dir, d.File)
	if err != nil {
		return err
	}
	defer claimed.Close()
	if d.keep, err = keep.Open(d.State); err != nil {
		return err
	}
	defer d.keep.Close()
	if d.table, err = ipvs.Open(ctx); err != nil {
		return err
	}
	defer d.table.Close()
	d.server = api.NewServer(d, d.keep, d.log)
	defer d.server.Close()
	var cancel context.CancelFunc
	d.alive, cancel = context.WithCancel(ctx)
	first, seen := read(request{file: d.File, why: "start"})
	if first.err != nil {
		cancel()
		return first.err
	}
	d.history.Started = time.Now()
	d.clock.day = d.history.Started
	if err := d.begin(first); err != nil {
		cancel()
		return err
	}
	var others sync.WaitGroup
	others.Go(func() { d.runner.Run(d.alive) })
	others.Go(func() { d.sources.Run(d.alive) })
	others.Go(func() { d.searches.Run(d.alive) })
	others.Go(func() { d.loader.run(d.alive, d.File, seen) })
	others.Go(func() { d.drain(d.alive) })
	d.Supervisor.Ready(d.summary())
	d.loop(ctx)
	d.Supervisor.Stopping()
	cancel()
	others.Wait()
	d.hooks.wait()
	d.log.Info("stopped; the table stays as it is")
	return nil
}

// begin acts on the file at the start. What another process or a full table is in the
// way of is tried again; what is the file's fault is not.
func (d *Daemon) begin(first reading) error {
	now := time.Now()
	d.trial.begin(d.ledger)
	done, err := d.adopt(first.desired, now)
	passes := errors.Is(err, ipvs.ErrBusy) || errors.Is(err, ipvs.ErrNoSpace) || errors.Is(err, director.ErrPending)
	if err != nil && !passes {
		return err
	}
	d.conclude(first, done, err, now)
	return nil
}

// loop acts on what happens.
func (d *Daemon) loop(ctx context.Context) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	glances := time.NewTicker(glance)
	defer glances.Stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	said := d.keep.Changed()
	for {
		select {
		case <-ctx.Done():
			return
		case <-said:
			said = d.keep.Changed()
			d.reconsider(time.Now())
		case call := <-d.inbox.calls:
			call()
		case <-d.inbox.wake:
			d.hear()
		case <-d.Hangups:
			d.reload(request{file: d.File, why: "asked to"})
		case <-tick.C:
			d.tick(time.Now())
		case <-glances.C:
			d.glance(time.Now())
		case <-timer.C:
		}
		now := time.Now()
		if !d.actAt.IsZero() && !now.Before(d.actAt) {
			d.act(now)
		}
		timer.Reset(d.pause(now))
		d.Supervisor.Alive(now)
	}
}

// pause is how long the loop may sleep.
func (d *Daemon) pause(now time.Time) time.Duration {
	if d.actAt.IsZero() {
		return time.Hour
	}
	return max(d.actAt.Sub(now), 0)
}

// soon has what turned be acted on shortly.
func (d *Daemon) soon(now time.Time) {
	if d.actAt.IsZero() || d.actAt.After(now.Add(gather)) {
		d.actAt = now.Add(gather)
	}
}

// reconsider thinks about all pools anew.
func (d *Daemon) reconsider(now time.Time) {
	for _, p := range d.pools {
		p.dirty = true
	}
	d.soon(now)
}

// hear takes what is in the inbox.
func (d *Daemon) hear() {
	got := d.inbox.take()
	now := time.Now()
	for what, err := range got.failures {
		d.faults.note(what, err, now)
	}
	for key, state := range got.states {
		if p := d.owners[key].pool; p != nil {
			d.states[key] = state
			p.dirty = true
			d.soon(now)
		}
	}
	for key, r := range got.readings {
		if of := d.owners[key]; of.pool != nil && of.pool.hear(of.server, r) {
			d.soon(now)
		}
	}
	if got.newFound {
		d.search = true
		d.takeOver(now)
	}
	for _, r := range got.reads {
		err := d.loaded(r, now)
		if r.done != nil {
			r.done <- err
		}
	}
}

// call has the loop do something for another goroutine, and waits for it.
func (d *Daemon) call(ctx context.Context, do func()) error {
	done := make(chan struct{})
	select {
	case d.inbox.calls <- func() { do(); close(done) }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-d.alive.Done():
		return errStopping
	}
}

// reload has the loader read a file.
func (d *Daemon) reload(r request) {
	d.Supervisor.Reloading()
	select {
	case d.loader.ask <- r:
	default: // it has more to do than it can: one of those reads the file too
	}
}

// tick looks after what nobody tells.
func (d *Daemon) tick(now time.Time) {
	if by := d.clock.leapt(now, now.Sub(d.history.Started)); by != 0 {
		d.log.Warn("the clock has leapt: nothing here goes by it but times that people read", "by", by)
	}
	for _, p := range d.pools {
		if p.moves(now) {
			p.dirty = true
			d.soon(now)
		}
	}
	d.watchTrial(now)
	if d.search && !now.Before(d.faults.next(theFound)) {
		d.takeOver(now)
	}
	if d.retry != nil && !now.Before(d.faults.next(theFile)) {
		r := *d.retry
		_ = d.loaded(r, now) // noted as a fault
	}
	d.reopen(now)
	d.Supervisor.Alive(time.Now()) // each may have waited for another who edits the table
	d.look(now)
	d.Supervisor.Status(d.summary())
}

// summary is the daemon in a line.
func (d *Daemon) summary() string {
	servers, up, lost := 0, 0, 0
	for _, p := range d.pools {
		if !p.had {
			lost++
		}
		for _, m := range p.members {
			servers++
			if m.up {
				up++
			}
		}
	}
	return summary(len(d.pools), servers, up, lost, len(d.faults.all))
}

// sameSpecs says whether the table would be the same.
func sameSpecs(a, b []ipvs.ServiceSpec) bool {
	return slices.EqualFunc(a, b, func(a, b ipvs.ServiceSpec) bool {
		return a.Service == b.Service && slices.Equal(a.Destinations, b.Destinations)
	})
}
