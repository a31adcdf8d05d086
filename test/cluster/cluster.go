// Package cluster brings up labs for tests: the programs built once, a lab with
// its director for each test, commands that must succeed on its nodes. It sends
// no traffic and checks nothing.
package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evs-project/evs/internal/lab"
)

// bin holds evs and ipvsadm.
var bin string

// Main is a TestMain: it builds the programs and puts them in the path. Their
// own path is new, so that their processes are told from other people's.
func Main(m *testing.M) (code int) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests make network namespaces and load eBPF programs, which needs root: run them with sudo")
		return 1
	}
	err := build()
	if err == nil {
		code = m.Run()
	}
	if err = errors.Join(err, os.RemoveAll(bin)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func build() (err error) {
	if bin, err = os.MkdirTemp("", "evs-cluster"); err != nil {
		return err
	}
	evs := filepath.Join(bin, "evs")
	if out, err := exec.Command("go", "build", "-o", evs, "github.com/evs-project/evs/cmd/evs").CombinedOutput(); err != nil {
		return fmt.Errorf("build evs: %w\n%s", err, out)
	}
	return errors.Join(os.Symlink("evs", filepath.Join(bin, "ipvsadm")), os.Setenv("PATH", bin+":"+os.Getenv("PATH")))
}

// Up brings a lab up for a test; it goes with it.
func Up(t *testing.T, spec lab.Spec) *lab.Lab {
	t.Helper()
	spec.Name = fmt.Sprintf("%s-%d", spec.Name, os.Getpid())
	spec.Binary = filepath.Join(bin, "evs")
	l, err := lab.Up(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// On runs commands, one a line, on a node, which must succeed, and returns what
// the last one printed.
func On(t *testing.T, l *lab.Lab, node, lines string) (out string) {
	t.Helper()
	for line := range strings.Lines(lines) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var err error
		if out, err = l.Exec(t.Context(), node, strings.Fields(line)...); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
