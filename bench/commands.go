package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/evs-project/evs/bench/bulk"
	"github.com/evs-project/evs/bench/checks"
	"github.com/evs-project/evs/bench/cli"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/schedule"
)

// A suite is a part of the benchmark that can be run by itself, with -only.
type suite struct {
	name string
	run  func(ctx context.Context, o options, stdout, progress io.Writer) (passed bool, err error)
}

var suites = []suite{{"cost", run}, {"schedule", schedulers}, {"cli", commands}, {"bulk", streams}, {"checks", healthChecks}}

// commandRounds is how often commands are measured.
const commandRounds = 3

// bulkRound is how long a connection carries bytes one way.
const bulkRound = 300 * time.Millisecond

// runSuites runs the suites chosen, all of them by default, and says whether
// every bar was cleared.
func runSuites(ctx context.Context, o options, stdout, progress io.Writer) (passed bool, err error) {
	if o.only != "" && !slices.ContainsFunc(suites, func(s suite) bool { return s.name == o.only }) {
		return false, fmt.Errorf("-only %q: choose cost, schedule, cli, bulk or checks", o.only)
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

// schedulers measures what it costs to choose among many destinations.
func schedulers(ctx context.Context, o options, stdout, progress io.Writer) (bool, error) {
	if err := pin(o.cpu); err != nil {
		return false, err
	}
	link, err := wired()
	if err != nil {
		return false, err
	}
	costs, err := schedule.Suite{Scene: packet.Documentation, Link: link, Rounds: o.rounds, Progress: progress}.Run(ctx)
	if err != nil {
		return false, fmt.Errorf("schedulers: %w", err)
	}
	rows := schedule.Bars(costs)
	err = publish(schedule.Text(costs)+"\n"+cli.Text("SCHEDULING", rows), o.out, "schedule.txt", stdout)
	return !slices.ContainsFunc(rows, func(r cli.Row) bool { return !r.Passed() }), err
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
	err = publish(cli.Text("COMMANDS", rows), o.out, "commands.txt", stdout)
	return !slices.ContainsFunc(rows, func(r cli.Row) bool { return !r.Passed() }), err
}

// streams measures bulk TCP through a director.
func streams(ctx context.Context, o options, stdout, progress io.Writer) (bool, error) {
	rows, err := bulk.Suite{Rounds: 3 * o.rounds, Round: bulkRound, Progress: progress}.Run(ctx)
	if err != nil {
		return false, fmt.Errorf("bulk TCP: %w", err)
	}
	err = publish(bulk.Text(rows), o.out, "bulk.txt", stdout)
	return !slices.ContainsFunc(rows, func(r bulk.Row) bool { return !r.Passed() }), err
}

// healthChecks measures what checking the health of many servers costs.
func healthChecks(ctx context.Context, o options, stdout, progress io.Writer) (bool, error) {
	rows, err := checks.Suite{Settle: 3 * time.Second, Measure: 10 * time.Second, Progress: progress}.Run(ctx)
	if err != nil {
		return false, err
	}
	err = publish(cli.Text("HEALTH CHECKS", rows), o.out, "checks.txt", stdout)
	return !slices.ContainsFunc(rows, func(r cli.Row) bool { return !r.Passed() }), err
}

// publish prints a table and keeps it in a file.
func publish(text, dir, name string, stdout io.Writer) error {
	fmt.Fprintf(stdout, "\n%s", text)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	return nil
}
