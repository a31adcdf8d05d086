// Package cli measures what the commands cost that edit and list the table, by
// running them: in the namespace it is called in, whose table it makes and takes
// away again. It measures no packets.
package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/bench/room"
)

// Suite is what to measure with.
type Suite struct {
	// Dir is where ipvsadm and evs are.
	Dir string
	// Rounds is how often the long measurements are made; short ones are
	// made many times as often.
	Rounds   int
	Progress io.Writer
}

// The sizes of the tables, in services; a service has 1 + Servers lines.
const (
	small = 1_000
	large = 10_000
)

// shortRuns is how many short runs make a round.
const shortRuns = 20

// Run measures everything, and removes the table whatever happens.
func (s Suite) Run(ctx context.Context) (figures []report.Figure, err error) {
	defer func() { err = errors.Join(err, s.evs(context.WithoutCancel(ctx), "unload")) }()
	// The table is there: what is measured is a table's growth, not its birth.
	if err := s.evs(ctx, "attach"); err != nil {
		return nil, err
	}
	over, err := s.startOver(ctx)
	if err != nil {
		return nil, err
	}
	few, _, err := s.restore(ctx, small)
	if err != nil {
		return nil, err
	}
	many, listing, err := s.restore(ctx, large)
	if err != nil {
		return nil, err
	}
	atomic, err := s.atomic(ctx)
	if err != nil {
		return nil, err
	}
	return []report.Figure{
		{Name: "ipvsadm -R of 10,000 lines", Value: milliseconds(few), Unit: "ms"},
		{Name: "ipvsadm -R of 100,000 lines", Value: milliseconds(many), Unit: "ms"},
		{Name: "ipvsadm -R of 100,000 lines, by that of 10,000", Value: report.One(float64(many) / float64(few)), Most: 12},
		{Name: "ipvsadm -Ln of the 100,000 lines", Value: milliseconds(listing), Unit: "ms", Most: 2000},
		{Name: "evs restore --atomic of 100,000 lines", Value: milliseconds(atomic), Unit: "ms"},
		{Name: "ipvsadm -ln of a small table, above ipvsadm --version", Value: milliseconds(over), Unit: "ms", Most: 15},
	}, nil
}

// startOver returns how much longer ipvsadm takes to list a small table than to
// say its version: medians, the two taking turns.
func (s Suite) startOver(ctx context.Context) (time.Duration, error) {
	if _, err := s.ipvsadm(ctx, Rules(2), "-R"); err != nil {
		return 0, err
	}
	var list, version []time.Duration
	for range s.Rounds * shortRuns {
		a, err := s.timed(ctx, nil, nil, "-ln")
		if err != nil {
			return 0, err
		}
		b, err := s.timed(ctx, nil, nil, "--version")
		if err != nil {
			return 0, err
		}
		list, version = append(list, a), append(version, b)
	}
	_, err := s.ipvsadm(ctx, nil, "-C")
	return max(0, median(list)-median(version)), err
}

// restore returns how long ipvsadm takes to restore a table of that many
// services, and to list it: the best of the rounds, since what else the machine
// does only adds to it.
func (s Suite) restore(ctx context.Context, services int) (restore, list time.Duration, err error) {
	rules := Rules(services)
	var restores, lists []time.Duration
	for round := range s.Rounds {
		fmt.Fprintf(s.Progress, "ipvsadm -R, %d services, round %d of %d\n", services, round+1, s.Rounds)
		var saved bytes.Buffer
		took, err := s.timed(ctx, rules, nil, "-R")
		if err != nil {
			return 0, 0, err
		}
		restores = append(restores, took)
		if took, err = s.timed(ctx, nil, io.Discard, "-Ln"); err != nil {
			return 0, 0, err
		}
		lists = append(lists, took)
		if _, err = s.timed(ctx, nil, &saved, "-S", "-n"); err != nil {
			return 0, 0, err
		}
		if !bytes.Equal(saved.Bytes(), rules) {
			return 0, 0, fmt.Errorf("ipvsadm -S of %d services does not say what ipvsadm -R was told", services)
		}
		if _, err := s.ipvsadm(ctx, nil, "-C"); err != nil {
			return 0, 0, err
		}
	}
	return slices.Min(restores), slices.Min(lists), nil
}

// atomic returns how long evs takes to make the large table from nothing, the
// best of the rounds.
func (s Suite) atomic(ctx context.Context) (time.Duration, error) {
	rules := Rules(large)
	var all []time.Duration
	for range s.Rounds {
		began := time.Now()
		if err := s.run(ctx, "evs", rules, nil, "restore", "--atomic"); err != nil {
			return 0, err
		}
		all = append(all, time.Since(began))
		if _, err := s.ipvsadm(ctx, nil, "-C"); err != nil {
			return 0, err
		}
	}
	return slices.Min(all), nil
}

func (s Suite) evs(ctx context.Context, args ...string) error {
	return s.run(ctx, "evs", nil, nil, args...)
}

func (s Suite) ipvsadm(ctx context.Context, in []byte, args ...string) (time.Duration, error) {
	return s.timed(ctx, in, nil, args...)
}

func (s Suite) timed(ctx context.Context, in []byte, out io.Writer, args ...string) (time.Duration, error) {
	began := time.Now()
	err := s.run(ctx, "ipvsadm", in, out, args...)
	return time.Since(began), err
}

// run runs a command, on whichever processor.
func (s Suite) run(ctx context.Context, name string, in []byte, out io.Writer, args ...string) error {
	return room.Anywhere(func() error {
		var said bytes.Buffer
		cmd := exec.CommandContext(ctx, filepath.Join(s.Dir, name), args...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), out, &said
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s %v: %w: %s", name, args, err, said.Bytes())
		}
		return nil
	})
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

func milliseconds(d time.Duration) report.Spread {
	return report.One(float64(d) / float64(time.Millisecond))
}
