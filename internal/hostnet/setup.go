package hostnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
)

// RecordDir is where Setup keeps its records, one per network namespace;
// SetupRealServer has a place beside it.
const (
	RecordDir           = "/run/evs/director"
	realServerRecordDir = "/run/evs/realserver"
)

// Role is what a host is prepared as.
type Role string

// The roles, by the verb of evs that prepares for them.
const (
	DirectorRole   Role = "director"
	RealServerRole Role = "realserver"
)

// Options say what Setup and Teardown are to do.
type Options struct {
	// Interfaces to forward between; none means all but loopback, and those
	// yet to come.
	Interfaces []string
	// DryRun decides and reports, and changes nothing.
	DryRun bool
	// RecordDir is the one of the role if empty.
	RecordDir string

	role Role // DirectorRole if empty
}

func (o Options) recordDir() string {
	switch {
	case o.RecordDir != "":
		return o.RecordDir
	case o.role == RealServerRole:
		return realServerRecordDir
	}
	return RecordDir
}

func (o Options) verb() string {
	if o.role == "" {
		return string(DirectorRole)
	}
	return string(o.role)
}

// Report says what was done, or in a dry run what would be.
type Report struct {
	// Interfaces are those resolved from the options.
	Interfaces []string
	Changes    []Change
	// Notes are sentences about what was left alone.
	Notes []string
}

// Setup puts the calling thread's network namespace in order for a director and
// records what it changes before it does. It is idempotent. If it fails, or ctx
// ends, it takes back what this call changed.
func Setup(ctx context.Context, o Options) (Report, error) {
	return prepare(ctx, o, intent{want: func(have Facts, ifaces []string) (Want, error) {
		return Director(have, ifaces, len(o.Interfaces) == 0), nil
	}})
}

// intent is what a preparation is for.
type intent struct {
	// want decides, by what there is.
	want func(have Facts, ifaces []string) (Want, error)
	// wanted is remembered in the record, unless it is nil.
	wanted []byte
	// last is done when all the rest is, and if it fails the rest is taken back.
	last func() error
}

func prepare(ctx context.Context, o Options, in intent) (Report, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	report := Report{}
	err := o.locked("setup", func(path string) error {
		have, err := Read()
		if err != nil {
			return err
		}
		if report.Interfaces, err = have.Interfaces(o.Interfaces); err != nil {
			return err
		}
		want, err := in.want(have, report.Interfaces)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(want.Made, isFou) {
			have.FouPorts = readFou()
		}
		report.Changes = Plan(have, want)
		if o.DryRun || len(report.Changes) == 0 && in.wanted == nil {
			return nil
		}
		gone, err := applyRecorded(ctx, o, path, have, report.Changes, in)
		for _, c := range gone {
			report.Notes = append(report.Notes, fmt.Sprintf("%s vanished with its interface: passed over", c.Name))
		}
		return err
	})
	return report, err
}

// applyRecorded applies changes with a record that is complete before the first
// of them, and takes them back on failure.
func applyRecorded(ctx context.Context, o Options, path string, have Facts, changes []Change, in intent) (gone []Change, err error) {
	rec, err := loadRecord(path)
	if err != nil {
		return nil, err
	}
	before := rec.clone()
	rec.note(have, changes)
	if in.wanted != nil {
		rec.Wanted = in.wanted
	}
	if err := rec.save(path); err != nil {
		return nil, err
	}
	gone, err = Apply(ctx, changes)
	if err == nil && in.last != nil {
		err = in.last()
	}
	if err == nil {
		return gone, nil
	}
	this := &record{Settings: map[string]memory{}}
	this.note(have, changes)
	if undo := takeBack(this); undo != nil {
		return nil, fmt.Errorf("%w; taking the rest back failed too (%w): run `evs %s teardown`", err, undo, o.verb())
	}
	if undo := before.save(path); undo != nil {
		return nil, errors.Join(err, undo)
	}
	return nil, fmt.Errorf("%w (nothing is changed: what came before it was taken back)", err)
}

// takeBack restores what rec remembers as far as that can be done.
func takeBack(rec *record) error {
	now, err := readFor(rec)
	if err != nil {
		return err
	}
	changes, _ := rec.wayBack(now)
	var errs []error
	for _, c := range changes {
		_, err := Apply(context.Background(), []Change{c})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// readFor takes a picture with what a record may speak of.
func readFor(rec *record) (Facts, error) {
	now, err := Read()
	if err == nil && slices.ContainsFunc(rec.Made, isFou) {
		now.FouPorts = readFou()
	}
	return now, err
}

// Teardown restores what Setup changed in the calling thread's network
// namespace. Values that someone else changed since are left alone and
// reported. If it fails the record stays, so that it can be run again.
//
// One thing it cannot restore: the kernel turns large receive offload (LRO) of a
// network card off for good when forwarding is turned on.
func Teardown(ctx context.Context, o Options) (Report, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	report := Report{}
	err := o.locked("teardown", func(path string) error {
		rec, err := loadRecord(path)
		if err != nil {
			return err
		}
		if rec.empty() {
			report.Notes = append(report.Notes, "setup has changed nothing here: nothing to restore")
			return nil
		}
		now, err := readFor(rec)
		if err != nil {
			return err
		}
		report.Changes, report.Notes = rec.wayBack(now)
		if o.DryRun {
			return nil
		}
		if _, err := Apply(ctx, report.Changes); err != nil {
			return fmt.Errorf("%w (the record stays: run teardown again)", err)
		}
		return (&record{}).save(path)
	})
	return report, err
}

// wayBack decides how to get back to what was before the record, and says what
// is better left alone.
func (r *record) wayBack(now Facts) ([]Change, []string) {
	changes, notes := r.undo(now)
	want, more := r.restore(now.Sysctl)
	return append(changes, planSysctls(r.known(now.Sysctl), want)...), append(notes, more...)
}

// locked runs act with the path of this namespace's record while no other
// process works on the records. A dry run needs neither root nor the lock.
func (o Options) locked(verb string, act func(path string) error) error {
	dir := o.recordDir()
	if !o.DryRun {
		if os.Geteuid() != 0 {
			return fmt.Errorf("%s changes kernel settings: run it as root (sudo evs %s %s), or with --dry-run to see what it would do", verb, o.verb(), verb)
		}
		lock, err := LockDir(dir)
		if err != nil {
			return err
		}
		defer lock.Close()
	}
	path, err := recordPath(dir)
	if err != nil {
		return err
	}
	return act(path)
}
