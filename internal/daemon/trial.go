package daemon

import (
	"errors"
	"time"

	"github.com/evs-project/evs/internal/director"
)

// onTrial is the fault that stands for changes that wait to be confirmed.
const onTrial = "changes on trial"

// A trial is how it stands with changes that somebody makes on trial. Meanwhile the
// daemon changes nothing: it would have to guess what of the table is meant.
type trial struct {
	now bool // changes wait to be confirmed
	// confirmed are the last that the daemon knows of.
	confirmed director.Pending
	// awaits says that the file that was confirmed is being read.
	awaits bool
}

// begin takes down which changes were confirmed before the daemon was there.
func (t *trial) begin(l director.Ledger) { t.confirmed, _ = l.Confirmed() }

// aside says that nothing is to be changed.
func (t *trial) aside() bool { return t.now || t.awaits }

// watchTrial stands aside as long as changes wait to be confirmed. If they are, and came
// from another file, that is what the daemon wants until its own is read again.
func (d *Daemon) watchTrial(now time.Time) {
	p, err := d.ledger.Pending()
	switch {
	case errors.Is(err, director.ErrNothingPending):
	case err != nil:
		d.faults.note(onTrial, err, now)
		return
	default:
		d.onTrial(p, now)
		return
	}
	d.faults.note(onTrial, nil, now)
	if d.trial.now {
		d.trial.now = false
		d.inspectAt = time.Time{}
		d.log.Info("the trial is over")
		d.soon(now)
	}
	last, err := d.ledger.Confirmed()
	if err != nil || last.Same(d.trial.confirmed) {
		return
	}
	d.trial.confirmed, d.trial.awaits = last, true
	if last.File != d.File {
		d.log.Warn("the confirmed file is acted on until the director's own is read again: put it in its place", "confirmed", last.File, "own", d.File)
	}
	d.reload(request{file: last.File, why: "it was confirmed"})
}

// onTrial notes that changes wait.
func (d *Daemon) onTrial(p director.Pending, now time.Time) {
	if !d.trial.now {
		d.trial.now = true
		d.log.Info("changes on trial: nothing is changed until they are confirmed or taken back", "file", p.File, "until", p.Until.Format(time.TimeOnly))
	}
	if !p.Watched {
		d.faults.note(onTrial, errors.New("the process that was to take them back is gone: `evs confirm --late` keeps them, `evs apply --rollback` takes them back"), now)
	}
}
