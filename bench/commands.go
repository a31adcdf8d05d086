package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/evs-project/evs/bench/bulk"
	"github.com/evs-project/evs/bench/checks"
	"github.com/evs-project/evs/bench/cli"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/plot"
	"github.com/evs-project/evs/bench/pps"
	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/bench/schedule"
	"github.com/evs-project/evs/bench/strain"
)

// A suite measures a part of the benchmark, which -only can ask for by its name.
type suite struct {
	name string
	run  func(ctx context.Context, o options, progress io.Writer) (report.Part, error)
}

// suites are all there is to measure, in the order of the report.
var suites = []suite{
	{"cost", programs},
	{"pps", packets},
	{"bulk", streams},
	{"strain", strains},
	{"schedule", schedulers},
	{"cli", commands},
	{"checks", healthChecks},
}

func partNames() (names []string) {
	for _, s := range suites {
		names = append(names, s.name)
	}
	return names
}

// chosen reads the names of parts, "" for all.
func chosen(list string) (names []string, err error) {
	if list == "" {
		return partNames(), nil
	}
	for _, word := range strings.Split(list, ",") {
		name := strings.TrimSpace(word)
		if !slices.Contains(partNames(), name) {
			return nil, fmt.Errorf("-only %q: choose of %s", word, strings.Join(partNames(), ", "))
		}
		names = append(names, name)
	}
	return names, nil
}

// commandRounds is how often commands are measured.
const commandRounds = 3

// bulkRound is how long a connection carries bytes one way.
const bulkRound = 300 * time.Millisecond

// ppsFlows are the connections that packets per second are measured with.
const ppsFlows = 10_000

// measure runs the suites chosen, publishes what they found, and says whether every
// bar was cleared.
func measure(ctx context.Context, o options, stdout, progress io.Writer) (passed bool, err error) {
	passed = true
	for _, s := range suites {
		if !slices.Contains(o.only, s.name) {
			continue
		}
		part, err := s.run(ctx, o, progress)
		if err != nil {
			return false, fmt.Errorf("%s: %w", s.name, err)
		}
		part.Name, part.Time, part.Machine = s.name, time.Now().UTC(), machine()
		fmt.Fprintf(stdout, "%s\n", part.Text())
		if err := publish(part, o.out); err != nil {
			return false, fmt.Errorf("-out: %w", err)
		}
		passed = passed && part.Passed()
	}
	return passed, nil
}

// packets measures how many of them a director forwards on one processor.
func packets(ctx context.Context, o options, progress io.Writer) (report.Part, error) {
	rows, err := pps.Suite{Scene: packet.Documentation, Flows: ppsFlows, Rounds: o.rounds, Round: o.round, CPU: o.cpu, Progress: progress}.Run(ctx)
	if err != nil {
		return report.Part{}, err
	}
	return report.Part{
		Title: "Packets per second",
		About: fmt.Sprintf("Packets of 64 bytes of %s, from a generator in the kernel over veth through the director to a sink that counts, all on one processor; the rate, and what a packet takes, hold all three.",
			report.Flows(ppsFlows)),
		Tables:  []report.Table{{Rows: pps.Table(rows)}},
		Figures: pps.Figures(rows),
		Charts:  []plot.Chart{pps.Chart(rows)},
		Data:    rows,
	}, nil
}

// schedulers measures what it costs to choose among many destinations.
func schedulers(ctx context.Context, o options, progress io.Writer) (report.Part, error) {
	if err := pin(o.cpu); err != nil {
		return report.Part{}, err
	}
	link, err := wired()
	if err != nil {
		return report.Part{}, err
	}
	costs, err := schedule.Suite{Scene: packet.Documentation, Link: link, Rounds: o.rounds, Progress: progress}.Run(ctx)
	if err != nil {
		return report.Part{}, err
	}
	return report.Part{
		Title:   "Choosing a server",
		About:   "Nanoseconds that a new connection costs above the empty program, by scheduler and number of destinations.",
		Tables:  []report.Table{{Rows: schedule.Table(costs)}},
		Figures: schedule.Bars(costs),
		Charts:  []plot.Chart{schedule.Chart(costs)},
		Data:    costs,
	}, nil
}

// strainFlows are the connections of a full table.
const strainFlows = 1_000_000

// strains measures the sweep of a full table, and packets on several processors at once.
func strains(ctx context.Context, o options, progress io.Writer) (report.Part, error) {
	link, err := wired()
	if err != nil {
		return report.Part{}, err
	}
	r, err := strain.Suite{Scene: packet.Documentation, Link: link, Flows: strainFlows, Rounds: o.rounds, Progress: progress}.Run(ctx)
	if err != nil {
		return report.Part{}, err
	}
	return report.Part{
		Title:   "A full table, and several processors",
		About:   "Processor time that a packet of one service and one destination takes above the empty program, by direct routing, where several processors have packets at once, each of flows of its own; and the sweep of a million connections that stay.",
		Tables:  []report.Table{{Rows: strain.Table(r.Rows)}},
		Figures: []report.Figure{{Name: "the sweep of 1M connections", Unit: "% of a processor", Value: r.Sweep, Most: 1}},
		Data:    r,
	}, nil
}

// commands measures what editing and listing large tables costs.
func commands(ctx context.Context, _ options, progress io.Writer) (report.Part, error) {
	if _, err := os.Stat(filepath.Join("bin", "ipvsadm")); err != nil {
		return report.Part{}, fmt.Errorf("the commands to measure: %w: run `make build` at the top of the source tree first", err)
	}
	figures, err := cli.Suite{Dir: "bin", Rounds: commandRounds, Progress: progress}.Run(ctx)
	return report.Part{Title: "Commands", About: "What commands take with large tables: ten lines of rules are a service and its nine servers.", Figures: figures}, err
}

// streams measures bulk TCP through a director.
func streams(ctx context.Context, o options, progress io.Writer) (report.Part, error) {
	rows, err := bulk.Suite{Rounds: 3 * o.rounds, Round: bulkRound, Progress: progress}.Run(ctx)
	return report.Part{Title: "Bulk TCP", About: "One connection through a masquerading director on veth, with its offloads, by the doors that EVS chooses.", Figures: bulk.Figures(rows), Data: rows}, err
}

// healthChecks measures what checking the health of many servers costs.
func healthChecks(ctx context.Context, _ options, progress io.Writer) (report.Part, error) {
	figures, err := checks.Suite{Settle: 3 * time.Second, Measure: 10 * time.Second, Progress: progress}.Run(ctx)
	return report.Part{Title: "Health checks", About: "5,000 servers of 500 services, checked by tcp every second.", Figures: figures}, err
}
