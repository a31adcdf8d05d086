package source

import (
	"context"
	"time"

	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/weight"
)

// newFile reads a number that somebody else writes. It was said when the file was
// written, so a file whose writer has died grows stale. Reading it again says nothing
// new: the same reading comes again.
func newFile(a asking) (asker, error) {
	name := a.named(a.File)
	var written time.Time
	var before weight.Reading
	return func(context.Context) (weight.Reading, error) {
		text, at, err := health.ReadWord(name)
		if err != nil {
			return weight.Reading{}, err
		}
		if at.Equal(written) {
			return before, nil
		}
		value, err := number(text)
		if err != nil {
			return weight.Reading{}, err
		}
		now := time.Now()
		// counted back from now, as clocks of files leap and weight.Pool's do not
		reading, err := weight.NumberOf(a.WeightSource, value, now.Add(-max(now.Sub(at), 0)))
		if err == nil {
			before, written = reading, at
		}
		return reading, err
	}, nil
}
