// Package scale measures what many connections and many services cost: memory, and the
// commands that go over all of them. It makes tables in the namespace it is called in,
// and takes them away again.
package scale

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/bench/cli"
	"github.com/evs-project/evs/bench/evs"
	"github.com/evs-project/evs/bench/harness"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/room"
	"github.com/evs-project/evs/internal/datapath"
)

// Suite is what to measure with.
type Suite struct {
	Scene   packet.Scene
	Link    int    // index of the interface that packets come in by, in the room
	Dir     string // where ipvsadm and evs are
	Methods []packet.Method
	// Conns are the sizes of the tables to measure, and how many connections each
	// then has; Services the numbers of services to load.
	Conns, Services []int
	Progress        io.Writer
}

// Filled is a table with as many connections as it was made for.
type Filled struct {
	Method packet.Method `json:"method"`
	Conns  int           `json:"connections"`
	// All is the memory of every map that the table has, by its name.
	All map[string]int64 `json:"bytes"`
	// List is how long ipvsadm -Lnc took, in seconds.
	List float64 `json:"list_seconds"`
}

// The maps that hold connections, of either family, and those of both.
const (
	conns4 = "conns4"
	conns6 = "conns6"
	ring   = "half_ring" // a half is IPv4's
)

// PerConn is the memory of a connection of IPv4: of all maps that hold any.
func (f Filled) PerConn() float64 { return float64(f.All[conns4]+f.All[ring]/2) / float64(f.Conns) }

// PerConn6 is that of IPv6, for which a table has as many places.
func (f Filled) PerConn6() float64 { return float64(f.All[conns6]+f.All[ring]/2) / float64(f.Conns) }

// Total is the memory of all maps.
func (f Filled) Total() (sum int64) {
	for _, bytes := range f.All {
		sum += bytes
	}
	return sum
}

// rest is that of the maps that hold no connections.
func (f Filled) rest() int64 { return f.Total() - f.All[conns4] - f.All[conns6] - f.All[ring] }

// Loaded is a table of services with cli.Servers destinations each.
type Loaded struct {
	Services int     `json:"services"`
	Seconds  float64 `json:"seconds"`
}

// Result is all that was measured.
type Result struct {
	Filled []Filled `json:"filled"`
	Loaded []Loaded `json:"loaded"`
}

// Run measures.
func (s Suite) Run(ctx context.Context) (r Result, err error) {
	for _, m := range s.Methods {
		for _, n := range s.Conns {
			f, err := s.filled(ctx, m, n)
			if err != nil {
				return r, fmt.Errorf("%s, %d connections: %w", m, n, err)
			}
			r.Filled = append(r.Filled, f)
		}
	}
	r.Loaded, err = s.load(ctx)
	return r, err
}

// filled makes a table for so many connections, and opens them.
func (s Suite) filled(ctx context.Context, m packet.Method, conns int) (f Filled, err error) {
	fmt.Fprintf(s.Progress, "scale: %s, %d connections\n", m, conns)
	h, err := harness.New(s.Scene, s.Link, conns)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	t, err := evs.New("EVS", m, harness.Stage{Scene: s.Scene, Link: s.Link, Flows: conns, Harness: h})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	if err := t.Prepare(conns); err != nil {
		return f, err
	}
	f = Filled{Method: m, Conns: conns}
	if f.All, err = memory(os.Getenv(datapath.BpffsVariable)); err != nil {
		return f, err
	}
	return f, s.list(ctx, &f)
}

// memory is that of all maps pinned under a directory.
func memory(dir string) (all map[string]int64, err error) {
	all = map[string]int64{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		m, err := ebpf.LoadPinnedMap(path, nil)
		if err != nil {
			return nil // a program or a link
		}
		defer m.Close()
		info, err := m.Info()
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		bytes, _ := info.Memlock() // a tree without leaves has none
		all[d.Name()] += int64(bytes)
		return nil
	})
	return all, err
}

// list lists all connections.
func (s Suite) list(ctx context.Context, f *Filled) error {
	return room.Anywhere(func() error {
		lines := &counter{}
		var said bytes.Buffer
		cmd := exec.CommandContext(ctx, filepath.Join(s.Dir, "ipvsadm"), "-Lnc")
		cmd.Stdout, cmd.Stderr = lines, &said
		began := time.Now()
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("ipvsadm -Lnc: %w: %s", err, said.Bytes())
		}
		f.List = time.Since(began).Seconds()
		const heading = 2
		if lines.n != heading+f.Conns {
			return fmt.Errorf("ipvsadm -Lnc lists %d connections, want %d", lines.n-heading, f.Conns)
		}
		return nil
	})
}

// counter counts lines.
type counter struct{ n int }

func (c *counter) Write(p []byte) (int, error) {
	c.n += bytes.Count(p, []byte{'\n'})
	return len(p), nil
}

// load restores tables of services.
func (s Suite) load(ctx context.Context) (loaded []Loaded, err error) {
	run := func(in []byte, name string, args ...string) error {
		return room.Anywhere(func() error {
			cmd := exec.CommandContext(ctx, filepath.Join(s.Dir, name), args...)
			cmd.Stdin = bytes.NewReader(in)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
			}
			return nil
		})
	}
	if err := run(nil, "evs", "attach"); err != nil { // the table is there already
		return nil, err
	}
	defer func() { err = errors.Join(err, run(nil, "evs", "unload")) }()
	for _, n := range s.Services {
		fmt.Fprintf(s.Progress, "scale: %d services\n", n)
		rules := cli.Rules(n)
		began := time.Now()
		if err := run(rules, "ipvsadm", "-R"); err != nil {
			return nil, err
		}
		loaded = append(loaded, Loaded{n, time.Since(began).Seconds()})
		if err := run(nil, "ipvsadm", "-C"); err != nil {
			return nil, err
		}
	}
	return loaded, nil
}
