package hostnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
)

// RecordDir is where Setup keeps its records, one per network namespace.
const RecordDir = "/run/evs/director"

// Options say what Setup and Teardown are to do.
type Options struct {
	// Interfaces to forward between; none means all but loopback, and those
	// yet to come.
	Interfaces []string
	// DryRun decides and reports, and changes nothing.
	DryRun bool
	// RecordDir is RecordDir if empty.
	RecordDir string
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
		report.Changes = Plan(have, Director(have, report.Interfaces, len(o.Interfaces) == 0))
		if o.DryRun || len(report.Changes) == 0 {
			return nil
		}
		gone, err := applyRecorded(ctx, path, have, report.Changes)
		for _, c := range gone {
			report.Notes = append(report.Notes, fmt.Sprintf("%s vanished with its interface: passed over", c.Name))
		}
		return err
	})
	return report, err
}

// applyRecorded applies changes with a record that is complete before the first
// of them, and takes them back on failure.
func applyRecorded(ctx context.Context, path string, have Facts, changes []Change) (gone []Change, err error) {
	rec, err := loadRecord(path)
	if err != nil {
		return nil, err
	}
	before := rec.clone()
	rec.note(have, changes)
	if err := rec.save(path); err != nil {
		return nil, err
	}
	gone, err = Apply(ctx, changes)
	if err == nil {
		return gone, nil
	}
	this := &record{Settings: map[string]memory{}}
	this.note(have, changes)
	if undo := takeBack(this); undo != nil {
		return nil, fmt.Errorf("%w; taking the rest back failed too (%w): run `evs director teardown`", err, undo)
	}
	if undo := before.save(path); undo != nil {
		return nil, errors.Join(err, undo)
	}
	return nil, fmt.Errorf("%w (nothing is changed: what came before it was taken back)", err)
}

// takeBack restores what rec remembers as far as that can be done.
func takeBack(rec *record) error {
	now, err := Read()
	if err != nil {
		return err
	}
	want, _ := rec.restore(now.Sysctl)
	var errs []error
	for _, c := range planSysctls(rec.known(now.Sysctl), want) {
		_, err := Apply(context.Background(), []Change{c})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
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
		if len(rec.Settings) == 0 {
			report.Notes = append(report.Notes, "setup has changed nothing here: nothing to restore")
			return nil
		}
		now, err := Read()
		if err != nil {
			return err
		}
		want, notes := rec.restore(now.Sysctl)
		report.Notes = notes
		report.Changes = planSysctls(rec.known(now.Sysctl), want)
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

// locked runs act with the path of this namespace's record while no other
// process works on the records. A dry run needs neither root nor the lock.
func (o Options) locked(verb string, act func(path string) error) error {
	dir := o.RecordDir
	if dir == "" {
		dir = RecordDir
	}
	if !o.DryRun {
		if os.Geteuid() != 0 {
			return fmt.Errorf("%s changes kernel settings: run it as root (sudo evs director %s), or with --dry-run to see what it would do", verb, verb)
		}
		lock, err := lockRecords(dir)
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
