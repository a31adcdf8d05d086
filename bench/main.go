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
	"github.com/evs-project/evs/bench/tcp"
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
	only    []string // the parts to measure, none for all
}

func main() {
	if checks.Serve() || tcp.Serve() {
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
	passed, err := measure(ctx, opts, os.Stdout, os.Stderr)
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "bench: interrupted; the parts measured before are in "+opts.out)
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
	only := f.String("only", "", "measure some parts, with commas between: "+strings.Join(partNames(), ", "))
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: see bench -help", f.Arg(0))
	}
	if o.rounds < 1 {
		return o, fmt.Errorf("-rounds %d: choose at least 1", o.rounds)
	}
	var err error
	if o.only, err = chosen(*only); err != nil {
		return o, err
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

// programs measures what packets cost in the data path.
func programs(ctx context.Context, o options, progress io.Writer) (part report.Part, err error) {
	if err := pin(o.cpu); err != nil {
		return part, err
	}
	scene := packet.Documentation
	link, err := wired()
	if err != nil {
		return part, err
	}
	most := slices.Max(o.flows)
	h, err := harness.New(scene, link, most)
	if err != nil {
		return part, err
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
	var r report.Report
	for _, method := range o.methods {
		rows, err := m.method(ctx, method)
		if err != nil {
			return part, err
		}
		r.Rows = append(r.Rows, rows...)
	}
	r.Verdicts = report.Judge(bars, r.Rows)
	return r.Part("cost"), nil
}

// pin keeps the measuring thread on one processor, whose caches it then knows.
func pin(cpu int) error {
	runtime.LockOSThread()
	if err := room.Pin(cpu); err != nil {
		return fmt.Errorf("-cpu: %w", err)
	}
	return nil
}
