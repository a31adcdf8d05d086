package director

import (
	"bytes"
	"errors"
	"io"
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

// Follow returns the trial of changes that wait to be confirmed, for one who has not
// made them and wants to know how it ends, or ErrNothingPending.
func (l Ledger) Follow() (Pending, *Trial, error) {
	p, err := l.Pending()
	if err != nil {
		return p, nil, err
	}
	path, err := l.path()
	if err != nil {
		return p, nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil, ErrNothingPending
	}
	if err != nil {
		return p, nil, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return p, nil, errors.Join(err, f.Close())
	}
	return p, &Trial{record: f, size: int64(bytes.IndexByte(text, '\n') + 1)}, nil
}
