// Package agent tells how busy a real server is, by HAProxy's agent-check protocol:
// whoever connects gets a line and is hung up on.
//
// What is measured is a row of Measures. The package never reads what clients say, and
// tells nothing but its line; it has no say over who connects.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/weight"
)

// Options say what an agent tells.
type Options struct {
	// From are names of Measures, of which the greatest is told; or Script alone.
	From []string
	// Full is how much of runqueue or connections is a load of 1; 0 for the default
	// of the measure.
	Full float64
	// Cgroup is the control group whose limits count, "" for that of this process.
	Cgroup string
	// Window is what the load is a mean of.
	Window time.Duration
	// Script is the program that is asked, and User who runs it.
	Script []string
	User   string
	// DrainFile is a file that drains the server while it is there, "" for none.
	DrainFile string
}

// clients bounds how many are served at once, and patience how long one may take.
const (
	clients  = 64
	patience = 2 * time.Second
)

// An Agent knows what to tell.
type Agent struct {
	options Options
	root    string // of the files of the kernel
	meter   *meter
	script  health.Command
	log     *slog.Logger

	mu     sync.Mutex
	said   string // by the script
	failed error
	at     time.Time
}

// New makes an agent. It fails where this machine has not what the options name.
func New(o Options, log *slog.Logger) (*Agent, error) { return newAgent(o, log, "/") }

func newAgent(o Options, log *slog.Logger, root string) (*Agent, error) {
	a := &Agent{options: o, root: root, log: log}
	if o.Window < minWindow {
		return nil, fmt.Errorf("window %v is too short: write %v or more", o.Window, minWindow)
	}
	var gauges []gauge
	var err error
	for _, name := range o.From {
		if name == Script && len(o.From) > 1 {
			return nil, errors.New("script cannot stand beside other measures: ask them in the script")
		}
		if name == Script {
			return a, a.prepareScript()
		}
		m, ok := measureOf(name)
		if !ok {
			return nil, fmt.Errorf("%q is nothing that can be measured: want %s", name, strings.Join(Names(), ", "))
		}
		more, err := m.make(kernel{root}, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		gauges = append(gauges, more...)
	}
	if len(gauges) == 0 {
		return nil, fmt.Errorf("nothing is to be measured: want %s", strings.Join(Names(), ", "))
	}
	a.meter, err = newMeter(gauges, o.Window)
	return a, err
}

// Serve answers whoever connects until ctx is over. It closes the listener, and
// returns when the last client is done with.
func (a *Agent) Serve(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	var wait sync.WaitGroup
	defer wait.Wait()
	if a.meter != nil {
		a.meter.begin(ctx)
		wait.Go(func() { a.meter.run(ctx) })
	}
	slots := make(chan struct{}, clients)
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				time.Sleep(patience / 20) // too many files: others may close some
				continue
			}
			return err
		}
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			a.answer(ctx, c)
		})
	}
}

// answer tells one client. What it said, if anything, is read and thrown away, as
// its answer would be lost otherwise.
func (a *Agent) answer(ctx context.Context, c net.Conn) {
	defer c.Close()
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer context.AfterFunc(within, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	line, err := a.Line(within)
	a.note(err)
	if err != nil {
		return // silence, from which nothing follows that would be wrong
	}
	_, err = io.WriteString(c, line+"\n")
	if half, is := c.(interface{ CloseWrite() error }); is && err == nil && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(c, 1<<16))
	}
}

// note logs what goes wrong, once, and that it goes right again.
func (a *Agent) note(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err != nil && (a.failed == nil || a.failed.Error() != err.Error()):
		a.log.Warn("cannot tell the load", "error", err)
	case err == nil && a.failed != nil:
		a.log.Info("can tell the load again")
	}
	a.failed = err
}

// Line is what the agent tells now.
func (a *Agent) Line(ctx context.Context) (string, error) {
	line, err := a.measured(ctx)
	if err != nil || a.options.DrainFile == "" {
		return line, err
	}
	if _, err := os.Stat(a.options.DrainFile); err == nil {
		return "drain " + line, nil
	}
	return "ready " + line, nil
}

func (a *Agent) measured(ctx context.Context) (string, error) {
	if a.meter == nil {
		return a.ask(ctx)
	}
	load, err := a.meter.load()
	if err != nil {
		return "", err
	}
	return lineOf(load, strings.Join(a.options.From, ",")), nil
}

// lineOf tells a load, in both forms. 0% would drain the server, so an overload is 1%.
func lineOf(load float64, about string) string {
	idle := min(max(math.Round(100*(1-load)), 1), 100)
	return fmt.Sprintf("%.0f%% # %s%.3f %s", idle, weight.LoadPrefix, load, about)
}
