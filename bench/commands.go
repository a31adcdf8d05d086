package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/evs-project/evs/bench/bulk"
	"github.com/evs-project/evs/bench/checks"
	"github.com/evs-project/evs/bench/cli"
	"github.com/evs-project/evs/bench/contention"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/plot"
	"github.com/evs-project/evs/bench/pps"
	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/bench/scale"
	"github.com/evs-project/evs/bench/schedule"
	"github.com/evs-project/evs/bench/sweep"
	"github.com/evs-project/evs/bench/tcp"
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
	{"tcp", connections},
	{"bulk", streams},
	{"contention", processors},
	{"sweep", sweeps},
	{"schedule", schedulers},
	{"cli", commands},
	{"scale", sizes},
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

// threadFlows are the connections of each processor where several take part, and
// mostThreads how many do at most.
const (
	threadFlows = 100_000
	mostThreads = 16
)

// tcpRound is how long a contender makes connections.
const tcpRound = time.Second

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

// connections measures new TCP connections through a director: between ends that cost
// next to nothing, which shows what the director can do, and between real sockets.
func connections(ctx context.Context, o options, progress io.Writer) (report.Part, error) {
	talks, err := pps.Talks{Scene: packet.Documentation, Rounds: o.rounds, Round: 2 * o.round, CPU: o.cpu, Progress: progress}.Run(ctx)
	if err != nil {
		return report.Part{}, err
	}
	rows, err := tcp.Suite{Rounds: o.rounds, Round: tcpRound, Progress: progress}.Run(ctx)
	if err != nil {
		return report.Part{}, err
	}
	return report.Part{
		Title: "TCP connections",
		About: "New connections with a request and its answer each. What a director can do on one processor is measured between ends that cost next to nothing; what is left of it where wrk asks a real server, and all of them share all processors, stands below. How long connections take is measured at half of what nftables makes, or half of one's own where that is less.",
		Tables: []report.Table{
			{Title: "On one processor, between ends that cost next to nothing", Rows: pps.TalkTable(talks)},
			{Title: "Between sockets, on all processors", Rows: tcp.Table(rows)},
		},
		Figures: append(pps.TalkFigures(talks), tcp.Figures(rows)...),
		Charts:  append([]plot.Chart{pps.TalkChart(talks)}, tcp.Charts(rows)...),
		Data:    map[string]any{"one_processor": talks, "sockets": rows},
	}, nil
}

// processors measures what packets cost when several processors carry them.
func processors(ctx context.Context, o options, progress io.Writer) (report.Part, error) {
	link, err := wired()
	if err != nil {
		return report.Part{}, err
	}
	rows, err := contention.Suite{
		Scene: packet.Documentation, Link: link, Rounds: o.rounds, Threads: min(runtime.NumCPU(), mostThreads), Flows: threadFlows, Progress: progress,
	}.Run(ctx)
	if err != nil {
		return report.Part{}, err
	}
	return report.Part{
		Title:  "Contention",
		About:  fmt.Sprintf("What a packet costs above the empty program when one processor, two and so on carry packets into one table at once, each %s.", report.Flows(threadFlows)),
		Tables: []report.Table{{Rows: contention.Table(rows)}},
		Charts: []plot.Chart{contention.Chart(rows)},
		Data:   rows,
	}, nil
}

// sizes measures what many connections and services cost.
func sizes(ctx context.Context, o options, progress io.Writer) (report.Part, error) {
	if err := built(); err != nil {
		return report.Part{}, err
	}
	if err := pin(o.cpu); err != nil {
		return report.Part{}, err
	}
	link, err := wired()
	if err != nil {
		return report.Part{}, err
	}
	r, err := scale.Suite{
		Scene: packet.Documentation, Link: link, Dir: "bin", Progress: progress,
		Methods: []packet.Method{packet.Route, packet.Masq}, Conns: []int{10_000, 100_000, 1_000_000}, Services: []int{100, 1000, 10_000},
	}.Run(ctx)
	if err != nil {
		return report.Part{}, err
	}
	return report.Part{
		Title:  "Scale",
		About:  "Tables as full as they were made for, their memory, and what the commands take that go over all of it.",
		Tables: r.Tables(), Figures: r.Figures(), Charts: r.Charts(), Data: r,
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

// built says whether the commands are there that are to be measured.
func built() error {
	if _, err := os.Stat(filepath.Join("bin", "ipvsadm")); err != nil {
		return fmt.Errorf("the commands to measure: %w: run `make build` at the top of the source tree first", err)
	}
	return nil
}

// sweepFlows are the connections of a full table.
const sweepFlows = 1_000_000

// sweeps measures what the sweep of a full table takes.
func sweeps(ctx context.Context, o options, progress io.Writer) (report.Part, error) {
	if err := pin(o.cpu); err != nil {
		return report.Part{}, err
	}
	link, err := wired()
	if err != nil {
		return report.Part{}, err
	}
	share, err := sweep.Suite{Scene: packet.Documentation, Link: link, Flows: sweepFlows, Rounds: o.rounds, Progress: progress}.Run(ctx)
	return report.Part{
		Title:   "The sweep",
		About:   "What it takes to look once a second over a million connections that stay.",
		Figures: []report.Figure{{Name: "the sweep of 1M connections", Unit: "% of a processor", Value: share, Most: 1}},
	}, err
}

// commands measures what editing and listing large tables costs.
func commands(ctx context.Context, _ options, progress io.Writer) (report.Part, error) {
	if err := built(); err != nil {
		return report.Part{}, err
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
