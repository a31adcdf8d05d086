package director

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"github.com/evs-project/evs/ipvs"
)

// Update is ipvs.Table.Update, unless changes wait to be confirmed.
func (l Ledger) Update(t *ipvs.Table, services []ipvs.ServiceSpec) (done ipvs.Changes, err error) {
	err = l.exclusively(func() error {
		done, err = t.Update(services)
		return err
	})
	return done, err
}

// confirmedSuffix is what the note of the last changes that were confirmed has behind the
// name of the record.
const confirmedSuffix = ".confirmed"

// noteConfirmed writes down which changes were confirmed, for a director that has to
// know which file is in force.
func (l Ledger) noteConfirmed(p Pending) error {
	path, err := l.path()
	if err != nil {
		return err
	}
	p.Before = Wanted{}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	path += confirmedSuffix
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Confirmed returns the changes that were confirmed last, or ErrNothingPending if there
// have been none.
func (l Ledger) Confirmed() (p Pending, err error) {
	path, err := l.path()
	if err != nil {
		return p, err
	}
	text, err := os.ReadFile(path + confirmedSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return p, ErrNothingPending
	}
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(text, &p)
}

// Same says whether these are the same changes.
func (p Pending) Same(q Pending) bool {
	return p.Boot == q.Boot && p.PID == q.PID && p.Since.Equal(q.Since)
}
