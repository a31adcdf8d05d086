package daemon

import (
	"errors"
	"time"

	"github.com/evs-project/evs/internal/director"
)

// onTrial is the fault that stands for changes that wait to be confirmed.
const onTrial = "changes on trial"

// A trial is changes that somebody has made on trial. Meanwhile the daemon changes
// nothing: it would have to guess what of the table is meant.
type trial struct {
	director.Pending
	end *director.Trial
}

func (t *trial) close() error {
	if t == nil {
		return nil
	}
	return t.end.Close()
}

// watchTrial stands aside as long as changes wait to be confirmed. If they are, and came
// from another file, that is what the daemon wants until its own is read again.
func (d *Daemon) watchTrial(now time.Time) {
	if d.trial == nil {
		p, end, err := d.ledger.Follow()
		if errors.Is(err, director.ErrNothingPending) {
			return
		}
		if err != nil {
			d.faults.note(onTrial, err, now)
			return
		}
		d.trial = &trial{p, end}
		d.log.Info("changes on trial: nothing is changed until they are confirmed or taken back", "file", p.File, "until", p.Until.Format(time.TimeOnly))
	}
	how, err := d.trial.end.Outcome()
	if err == nil && how == director.Waiting {
		if now, err := d.ledger.Pending(); err == nil && !now.Watched {
			d.faults.note(onTrial, errors.New("the process that was to take them back is gone: `evs confirm --late` keeps them, `evs apply --rollback` takes them back"), time.Now())
		}
		return
	}
	file := d.trial.File
	err = errors.Join(err, d.trial.close())
	d.trial = nil
	d.faults.note(onTrial, err, now)
	d.log.Info("the trial is over", "file", file, "outcome", how)
	d.inspectAt, d.edits = time.Time{}, 0
	if how == director.Confirmed {
		d.awaits = true
		d.reload(request{file: file, why: "it was confirmed"})
		if file != d.File {
			d.log.Warn("the confirmed file is acted on until the director's own is read again: put it in its place", "confirmed", file, "own", d.File)
		}
	}
	d.soon(now)
}
