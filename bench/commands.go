package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/evs-project/evs/bench/cli"
)

// A suite is a part of the benchmark that can be run by itself, with -only.
type suite struct {
	name string
	run  func(ctx context.Context, o options, stdout, progress io.Writer) (passed bool, err error)
}

var suites = []suite{{"cost", run}, {"cli", commands}}

// commandRounds is how often commands are measured.
const commandRounds = 3

// runSuites runs the suites chosen, all of them by default, and says whether
// every bar was cleared.
func runSuites(ctx context.Context, o options, stdout, progress io.Writer) (passed bool, err error) {
	if o.only != "" && !slices.ContainsFunc(suites, func(s suite) bool { return s.name == o.only }) {
		return false, fmt.Errorf("-only %q: choose cost or cli", o.only)
	}
	passed = true
	for _, s := range suites {
		if o.only != "" && o.only != s.name {
			continue
		}
		good, err := s.run(ctx, o, stdout, progress)
		if err != nil {
			return false, err
		}
		passed = passed && good
	}
	return passed, nil
}

// commands measures what editing and listing large tables costs.
func commands(ctx context.Context, o options, stdout, progress io.Writer) (bool, error) {
	if _, err := os.Stat(filepath.Join("bin", "ipvsadm")); err != nil {
		return false, fmt.Errorf("the commands to measure: %w: run `make build` at the top of the source tree first", err)
	}
	rows, err := cli.Suite{Dir: "bin", Rounds: commandRounds, Progress: progress}.Run(ctx)
	if err != nil {
		return false, err
	}
	text := cli.Text(rows)
	fmt.Fprintf(stdout, "\n%s", text)
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return false, fmt.Errorf("-out: %w", err)
	}
	if err := os.WriteFile(filepath.Join(o.out, "commands.txt"), []byte(text), 0o644); err != nil {
		return false, fmt.Errorf("-out: %w", err)
	}
	return !slices.ContainsFunc(rows, func(r cli.Row) bool { return !r.Passed() }), nil
}
