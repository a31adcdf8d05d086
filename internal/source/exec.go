package source

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/weight"
)

// newExec runs a program that prints a number.
func newExec(a asking) (asker, error) {
	line := make([]string, len(a.Command))
	for i, word := range a.Command {
		line[i] = a.named(word)
	}
	if len(line) == 0 || !filepath.IsAbs(line[0]) {
		return nil, fmt.Errorf("command %q does not begin with the whole path of a program", line)
	}
	env := []string{"EVS_ADDRESS=" + a.server.Addr().String(), "EVS_PORT=" + strconv.Itoa(int(a.server.Port()))}
	program, err := health.CommandOf(line, env, a.User)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (weight.Reading, error) {
		code, said, err := program.Run(ctx)
		if err != nil {
			return weight.Reading{}, err
		}
		if code != 0 {
			return weight.Reading{}, fmt.Errorf("exit code %d: %s", code, weight.Printable(said))
		}
		value, err := number(said)
		if err != nil {
			return weight.Reading{}, err
		}
		return weight.NumberOf(a.WeightSource, value, time.Now())
	}, nil
}
