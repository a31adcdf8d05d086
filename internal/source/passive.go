package source

import (
	"context"
	"errors"
	"time"

	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/weight"
)

// newPassive asks nobody: it compares what the data path has counted with what it had
// counted the last time. The answer is the part of new connections that did not fail,
// in percent; of a server that gets none, that is all of them.
func newPassive(a asking) (asker, error) {
	var before health.Counts
	known := false
	return func(context.Context) (weight.Reading, error) {
		now, ok := a.counts()
		if !ok {
			known = false
			return weight.Reading{}, errors.New("the server is not in the table")
		}
		since := now.Since(before)
		first := !known
		before, known = now, true
		if first {
			since = health.Counts{}
		}
		return weight.Reading{At: time.Now(), Value: 100 * (1 - since.Failed()), Unit: weight.UnitPercent}, nil
	}, nil
}
