package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evs-project/evs/test/bed"
	"github.com/evs-project/evs/test/conformance"
)

// quiet is how long nothing has to leave for a step to be over.
const quiet = 40 * time.Millisecond

// play plays a scenario on a topology of its own.
func play(s scenario) (scenario, error) {
	type result struct {
		s   scenario
		err error
	}
	done := make(chan result)
	go func() { // on a thread that ends with it
		var t bed.Topology
		err := t.Build()
		if err == nil {
			s.Steps = slices.Clone(s.Steps)
			for i := range s.Steps {
				if e := s.Steps[i].play(&t); e != nil {
					err = fmt.Errorf("step %d: %w", i, e)
					break
				}
			}
		}
		done <- result{s, errors.Join(err, t.Close())}
	}()
	r := <-done
	return r.s, r.err
}

func (s *step) play(t *bed.Topology) error {
	switch {
	case s.Cmd != nil:
		return s.command()
	case s.Sysctl != nil:
		return os.WriteFile(filepath.Join("/proc/sys", strings.ReplaceAll(s.Sysctl[0], ".", "/")), []byte(s.Sysctl[1]), 0)
	case s.IP != nil:
		return do("ip", s.IP...)
	case s.Mark != nil:
		return mark(*s.Mark)
	}
	return s.frame(t)
}

func do(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %q: %w: %s", name, args, err, out)
	}
	return nil
}

func mark(m conformance.Mark) error {
	tool := "iptables-legacy"
	if strings.Contains(m.Dst, ":") {
		tool = "ip6tables-legacy"
	}
	args := []string{"-t", "mangle", "-A", "PREROUTING", "-d", m.Dst}
	if m.Proto != "" {
		args = append(args, "-p", m.Proto)
	}
	if m.Dport != 0 {
		args = append(args, "--dport", strconv.Itoa(int(m.Dport)))
	}
	return do(tool, append(args, "-j", "MARK", "--set-mark", strconv.Itoa(int(m.Mark)))...)
}

// command runs ipvsadm.
func (s *step) command() error {
	var stdout, stderr bytes.Buffer
	c := exec.Command("ipvsadm", s.Cmd...)
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	s.Exit, s.Stdout, s.Stderr, s.Masked = c.ProcessState.ExitCode(), stdout.String(), stderr.String(), ""
	if slices.Contains([]string{"-Lnc", "-Lc"}, s.Cmd[0]) {
		s.Stdout, s.Masked = conformance.MaskConns(s.Stdout), "expire, order"
	}
	return nil
}

// frame injects a frame, and notes all that leave.
func (s *step) frame(t *bed.Topology) error {
	in, err := hex.DecodeString(s.In)
	if err != nil {
		return err
	}
	send := t.Side(s.From).Send
	if s.Verified {
		send = t.Side(s.From).SendVerified
	}
	if err := send(in); err != nil {
		return err
	}
	s.Out = nil
	for idle := false; !idle; {
		idle = true
		for _, side := range []string{"client", "server"} {
			frame, err := t.Side(side).Receive(quiet / 2)
			if err != nil {
				return err
			}
			if frame != nil {
				idle = false
				s.Out = append(s.Out, out{Side: side, Frame: hex.EncodeToString(frame)})
			}
		}
	}
	slices.SortStableFunc(s.Out, func(a, b out) int { return strings.Compare(a.Side, b.Side) })
	return nil
}
