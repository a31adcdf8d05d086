package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/director"
	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/ipvs"
)

// What can fail and is tried again.
const (
	theTable    = "table"
	theFile     = "file"
	theRecord   = "record of drains and overrides"
	theDrains   = "drains"
	anInterface = "interface "
)

// wanted is what the table shall be: the file, with its servers as they are found to
// be. Interfaces that are not there are told apart.
func wanted(desired *config.Desired, pools []*pool) (want director.Wanted, missing []string) {
	want = director.WantedBy(*desired)
	want.Services = nil
	for _, p := range pools {
		want.Services = append(want.Services, p.specs...)
	}
	want.Interfaces = maps.Clone(want.Interfaces)
	for name := range desired.Interfaces {
		if _, err := net.InterfaceByName(name); err != nil {
			missing = append(missing, name)
			delete(want.Interfaces, name)
		}
	}
	slices.Sort(missing)
	return want, missing
}

// loaded acts on a file that was read, or notes what is wrong with it.
func (d *Daemon) loaded(r reading, now time.Time) error {
	d.trial.awaits = false
	err := r.err
	var done []director.Change
	if err == nil {
		done, err = d.adopt(r.desired, now)
	}
	d.conclude(r, done, err, now)
	return err
}

// conclude notes how it went to act on a file. One that could be read is tried again; one
// that could not is read again when it changes.
func (d *Daemon) conclude(r reading, done []director.Change, err error, now time.Time) {
	d.retry = nil
	d.faults.note(theFile, err, now)
	switch {
	case err == nil:
		d.history.Good, d.history.Tried, d.history.Err = now, time.Time{}, nil
		d.history.Count++
		d.log.Info("acts on the file", "file", r.file, "why", r.why, "services", len(d.pools), "changes", len(done))
		d.logChanges(slog.LevelInfo, done)
	case r.err == nil:
		d.retry = &r
		d.history.Tried, d.history.Err = now, err
	default:
		d.faults.all[theFile].Next = time.Time{}
		d.history.Tried, d.history.Err = now, err
	}
	d.Supervisor.Ready(d.summary())
}

// mostLogged bounds how many changes of one edit are logged.
const mostLogged = 20

func (d *Daemon) logChanges(level slog.Level, done []director.Change) {
	for i, c := range done {
		if i == mostLogged {
			d.log.Log(d.alive, level, "and more changes", "number", len(done)-i)
			return
		}
		service := ""
		if c.Service != (ipvs.ServiceKey{}) {
			service = c.Service.String()
		}
		d.log.Log(d.alive, level, "changed", "what", c.Op+" "+string(c.What), "service", service, "name", c.Name, "from", c.From, "to", c.To, "connections", c.Connections)
	}
}

// A proposal is what would follow from a file.
type proposal struct {
	pools   []*pool
	turns   map[*pool][]turn
	want    director.Wanted
	missing []string
}

// propose thinks about a file, and changes nothing. It fails if a check cannot be made.
func (d *Daemon) propose(desired *config.Desired, now time.Time) (p proposal, err error) {
	services, err := d.table.Services()
	if err != nil {
		return p, err
	}
	have := tableOf(services)
	old := map[string]*pool{}
	for _, is := range d.pools {
		old[is.Name] = is
	}
	p.turns = map[*pool][]turn{}
	var wrong []error
	for _, s := range desired.Services {
		next := newPool(s, d.found(s), old[s.Name], have, now)
		wrong = append(wrong, next.buildable())
		p.turns[next] = next.think(d.states, d.words, now)
		p.pools = append(p.pools, next)
	}
	p.want, p.missing = wanted(desired, p.pools)
	return p, errors.Join(wrong...)
}

// adopt makes what a file wants what the daemon wants, and the table so, or leaves
// both as they are.
func (d *Daemon) adopt(desired *config.Desired, now time.Time) ([]director.Change, error) {
	p, err := d.propose(desired, now)
	if err != nil {
		return nil, err
	}
	if err = d.pose(questionsOf(p.pools)); err != nil {
		return nil, errors.Join(err, d.pose(questionsOf(d.pools)))
	}
	done, err := d.ledger.Apply(d.table, p.want)
	if err != nil {
		return nil, errors.Join(err, d.pose(questionsOf(d.pools)))
	}
	d.desired, d.pools, d.search = desired, p.pools, false
	d.owned()
	d.faults.note(theRecord, d.declare(now), now)
	d.open(now)
	d.tellInterfaces(p.missing, now)
	d.faults.note(theTable, nil, now)
	d.observe(now)
	for _, is := range d.pools {
		d.tell(is, p.turns[is])
	}
	return done, d.ask()
}

// tellInterfaces notes which interfaces of the file are not there.
func (d *Daemon) tellInterfaces(missing []string, now time.Time) {
	for name := range d.desired.Interfaces {
		var err error
		if slices.Contains(missing, name) {
			err = errors.New("there is no such interface here: it gets its mode when it comes; see `ip link`")
		}
		d.faults.note(anInterface+name, err, now)
	}
	d.faults.forget(func(what string) bool {
		name, is := strings.CutPrefix(what, anInterface)
		_, named := d.desired.Interfaces[name]
		return is && !named
	})
}

// ask has the runner ask what is to be asked now.
func (d *Daemon) ask() error {
	var tasks []health.Task
	for _, p := range d.pools {
		tasks = append(tasks, p.tasks(d.marks)...)
	}
	d.stale = false
	return d.runner.Set(tasks)
}

// observe takes down the state of the table after an edit of the daemon's own: the
// number by which it sees those of others, and the marks of checks via the VIP.
func (d *Daemon) observe(now time.Time) {
	if edits, err := d.table.Edits(); err == nil {
		d.edits = edits
	}
	fresh := marks{}
	for _, p := range d.pools {
		if !p.viaVIP() {
			continue
		}
		for _, k := range p.keys {
			m, err := d.table.ProbeMarks(k)
			d.faults.note(fmt.Sprintf("checks via %s", k), err, now)
			fresh[k] = m
		}
	}
	d.stale = d.stale || !maps.EqualFunc(d.marks, fresh, maps.Equal[map[netip.AddrPort]uint32])
	d.marks = fresh
}

// act thinks about what has turned, and writes what follows.
func (d *Daemon) act(now time.Time) {
	d.actAt = time.Time{}
	var specs []ipvs.ServiceSpec
	for _, p := range d.pools {
		if p.dirty {
			before := p.specs
			turns := p.think(d.states, d.words, now)
			p.dirty = false
			p.unwritten = p.unwritten || !sameSpecs(before, p.specs)
			d.tell(p, turns)
		}
		if p.unwritten {
			specs = append(specs, p.specs...)
		}
	}
	if len(specs) == 0 || d.trial.aside() {
		return
	}
	if now.Before(d.faults.next(theTable)) {
		d.actAt = d.faults.next(theTable)
		return
	}
	_, err := d.ledger.Update(d.table, specs)
	if errors.Is(err, director.ErrPending) {
		d.watchTrial(now) // what is not written is when that is over
		return
	}
	if next := d.faults.note(theTable, err, now); err != nil {
		d.actAt = next
		return
	}
	d.written(now)
}

// written says that the table is as it should be.
func (d *Daemon) written(now time.Time) {
	for _, p := range d.pools {
		p.unwritten = false
	}
	d.observe(now)
	if d.stale {
		if err := d.ask(); err != nil {
			d.log.Error("checks cannot be set", "error", err)
		}
	}
}

// tell logs what has turned, and has its hooks run.
func (d *Daemon) tell(p *pool, turns []turn) {
	for _, t := range turns {
		d.hooks.turned(d.alive, p, t)
		switch {
		case t.first:
		case t.server == nil && t.up:
			d.log.Info("the service has its quorum", "service", p.Name, "why", t.why)
		case t.server == nil:
			d.log.Warn("the service has lost its quorum", "service", p.Name, "why", t.why)
		case t.up:
			d.log.Info("the server is up", "service", p.Name, "server", t.server.name)
		default:
			d.log.Warn("the server is down", "service", p.Name, "server", t.server.name, "why", t.why)
		}
	}
}

// look looks whether the table is as it should be: at services if anybody else has
// edited some, at everything now and then. What is not so is put right, and logged: the
// file has the say.
func (d *Daemon) look(now time.Time) {
	if d.desired == nil || d.trial.aside() || now.Before(d.faults.next(theTable)) {
		return
	}
	edits, err := d.table.Edits()
	if err == nil && edits == d.edits && now.Before(d.inspectAt) {
		return
	}
	d.act(now) // so that what is not written yet is not taken for another's
	if now.Before(d.faults.next(theTable)) {
		return
	}
	d.inspectAt = now.Add(inspection)
	done, err := d.mend(now)
	if errors.Is(err, director.ErrPending) {
		d.watchTrial(now)
		return
	}
	d.faults.note(theTable, err, now)
	if err != nil {
		return
	}
	if len(done) > 0 {
		d.log.Warn("the table was not as the file and the checks want it, and is again", "changes", len(done))
		d.logChanges(slog.LevelWarn, done)
	}
	d.written(now)
}

// mend makes the table what is wanted, and returns what was not so.
func (d *Daemon) mend(now time.Time) ([]director.Change, error) {
	have, err := director.Read(d.table)
	if err != nil {
		return nil, err
	}
	want, missing := wanted(d.desired, d.pools)
	d.tellInterfaces(missing, now)
	if len(director.Plan(have, want)) == 0 {
		return nil, nil
	}
	return d.ledger.Apply(d.table, want)
}
