package daemon

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/evs-project/evs/internal/config"
)

// A request asks for a file to be read and acted on.
type request struct {
	file string
	why  string
	// done is told how it went, if somebody waits.
	done chan<- error
}

// A reading is what came of it.
type reading struct {
	request
	desired *config.Desired
	err     error
}

// A loader reads the director's file beside the loop, as reading a long one takes a
// while: when it is asked to, and when the file or one that it includes has changed.
type loader struct {
	ask  chan request
	give func(reading)
	// every is how often it looks at the files.
	every time.Duration
}

func newLoader(give func(reading)) *loader {
	return &loader{ask: make(chan request, 16), give: give, every: 500 * time.Millisecond}
}

// run answers until ctx is over. It begins with the file as it was read before.
func (l *loader) run(ctx context.Context, file string, seen *trace) {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	known, changing := seen.stamp(), ""
	for {
		var r request
		select {
		case <-ctx.Done():
			return
		case r = <-l.ask:
		case <-tick.C:
			now := seen.stamp()
			settled := now == changing
			if changing = now; now == known || !settled {
				continue // as it was, or perhaps still being written
			}
			r = request{file: file, why: "it has changed"}
		}
		got, trace := read(r)
		if r.file == file {
			seen, known = trace, trace.stamp()
		}
		l.give(got)
	}
}

// read reads a file, and keeps track of what there was to read.
func read(r request) (reading, *trace) {
	t := &trace{}
	desired, wrong := config.Load(r.file, t)
	out := reading{request: r, desired: desired}
	if len(wrong) > 0 {
		out.err = wrong
	}
	return out, t
}

// A trace is the files of the disk, and which of them were looked for.
type trace struct {
	config.Disk
	names, patterns []string
}

// ReadFile reads a file.
func (t *trace) ReadFile(name string) ([]byte, error) {
	t.names = append(t.names, name)
	return t.Disk.ReadFile(name)
}

// Glob looks for files.
func (t *trace) Glob(pattern string) ([]string, error) {
	t.patterns = append(t.patterns, pattern)
	return t.Disk.Glob(pattern)
}

// stamp tells states of the files apart.
func (t *trace) stamp() string {
	var b strings.Builder
	for _, name := range t.names {
		b.WriteString(stampOf(name))
	}
	for _, pattern := range t.patterns {
		names, _ := t.Disk.Glob(pattern)
		slices.Sort(names)
		b.WriteString(strings.Join(names, "\x00"))
	}
	return b.String()
}

func stampOf(name string) string {
	info, err := os.Stat(name)
	if err != nil {
		return name + " is not there\n"
	}
	return fmt.Sprintf("%s %d %d\n", name, info.ModTime().UnixNano(), info.Size())
}
