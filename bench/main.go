// Command bench measures what a packet costs in EVS's data path, next to
// textbook balancers, in one run on one machine. Run it as root; docs/
// performance.md says what the figures mean.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/bench/checks"
	"github.com/evs-project/evs/bench/harness"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/bench/room"
)

// options are the command line.
type options struct {
	methods []packet.Method
	flows   []int
	rounds  int
	round   time.Duration
	cpu     int
	out     string
	check   bool
	only    string // the suite to run, "" for all
}

func main() {
	if checks.Serve() {
		return
	}
	opts, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if code, done := room.Enter(); done {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	passed, err := runSuites(ctx, opts, os.Stdout, os.Stderr)
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "bench: interrupted; nothing was written")
		os.Exit(1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if opts.check && !passed {
		fmt.Fprintln(os.Stderr, "bench: not every bar was cleared")
		os.Exit(1)
	}
}

func parse(args []string, usage io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(usage)
	flows := f.String("flows", "1,10000,1000000", "numbers of flows to measure with")
	methods := f.String("methods", string(packet.Masq)+","+string(packet.Route), "forwarding methods to measure: masq, route")
	f.IntVar(&o.rounds, "rounds", 7, "interleaved rounds; at least 5 for figures to publish")
	f.DurationVar(&o.round, "round", 200*time.Millisecond, "about how long a target runs in a round")
	f.IntVar(&o.cpu, "cpu", runtime.NumCPU()-1, "processor to measure on")
	f.StringVar(&o.out, "out", filepath.Join("bench", "out"), "directory for the report's files")
	f.BoolVar(&o.check, "check", false, "exit with an error unless every bar is cleared")
	f.StringVar(&o.only, "only", "", "run one suite: cost, of the data path, schedule, of choosing a server, cli, of the commands, bulk, of TCP through a director, or checks, of servers' health")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: see bench -help", f.Arg(0))
	}
	if o.rounds < 1 {
		return o, fmt.Errorf("-rounds %d: choose at least 1", o.rounds)
	}
	for _, word := range strings.Split(*flows, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 || n > packet.MaxFlows {
			return o, fmt.Errorf("-flows %q: choose numbers between 1 and %d, with commas between", word, packet.MaxFlows)
		}
		o.flows = append(o.flows, n)
	}
	for _, word := range strings.Split(*methods, ",") {
		m := packet.Method(strings.TrimSpace(word))
		if !slices.ContainsFunc(trials, func(t trial) bool { return t.method == m }) {
			return o, fmt.Errorf("-methods %q: choose masq, route, or both with a comma between", word)
		}
		o.methods = append(o.methods, m)
	}
	return o, nil
}

// wired furnishes the room for the suites that play packets, once, and returns the
// interface that they come in by.
var wired = sync.OnceValues(func() (int, error) {
	link, err := room.Wire(packet.Documentation)
	if err != nil {
		return 0, fmt.Errorf("furnish the network namespace: %w", err)
	}
	return link, nil
})

// run measures everything and writes the report. It says whether every bar was
// cleared.
func run(ctx context.Context, o options, stdout, progress io.Writer) (passed bool, err error) {
	if err := pin(o.cpu); err != nil {
		return false, err
	}
	scene := packet.Documentation
	link, err := wired()
	if err != nil {
		return false, err
	}
	most := slices.Max(o.flows)
	h, err := harness.New(scene, link, most)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	m := &measurement{
		harness:  h,
		stage:    harness.Stage{Scene: scene, Link: link, Flows: most, Harness: h},
		flows:    o.flows,
		rounds:   o.rounds,
		round:    o.round,
		progress: progress,
	}
	r := report.Report{Time: time.Now(), Machine: machine()}
	for _, method := range o.methods {
		rows, err := m.method(ctx, method)
		if err != nil {
			return false, err
		}
		r.Rows = append(r.Rows, rows...)
	}
	r.Verdicts = report.Judge(bars, r.Rows)
	fmt.Fprint(stdout, r.Text())
	if err := save(r, o.out); err != nil {
		return false, err
	}
	return !slices.ContainsFunc(r.Verdicts, func(v report.Verdict) bool { return !v.Passed() }), nil
}

// pin keeps the measuring thread on one processor, whose caches it then knows.
func pin(cpu int) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("-cpu %d: move to that processor: %w", cpu, err)
	}
	return nil
}

func save(r report.Report, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	page := filepath.Join(dir, "program-cost.md")
	if err := os.WriteFile(page, []byte("# Program cost\n\n"+r.Markdown()), 0o644); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	file, err := os.Create(filepath.Join(dir, "program-cost.json"))
	if err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	return errors.Join(r.JSON(file), file.Close())
}
