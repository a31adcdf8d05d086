// Package conformance plays recordings of the kernel's IPVS and of ipvsadm
// against an implementation. It loads and compares; it never runs anything
// itself, and knows no implementation.
package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Scenario is one recording. Its steps start from an empty table.
type Scenario struct {
	Family string `json:"family"`
	Name   string `json:"name"`
	About  string `json:"about"`
	Steps  []Step `json:"steps"`
	// Final holds the listings after the last step, by command line. Their
	// form differs between families.
	Final map[string]json.RawMessage `json:"final"`
}

// Step is one thing done and what came of it. The fields are those of an
// invocation of the command; a step of another kind is read from Raw.
type Step struct {
	Program string   `json:"prog"` // "" for ipvsadm
	Argv    []string `json:"argv"`
	Cmd     []string `json:"cmd"` // Argv by another name
	Stdin   string   `json:"stdin"`
	UID     int      `json:"uid"`

	Exit   int    `json:"exit"`
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
	// Masked is set for listings of connections, whose order and times were
	// not recorded.
	Masked string `json:"masked"`

	Raw json.RawMessage `json:"-"`
}

// UnmarshalJSON keeps the whole step in Raw.
func (s *Step) UnmarshalJSON(data []byte) error {
	type plain Step
	if err := json.Unmarshal(data, (*plain)(s)); err != nil {
		return err
	}
	s.Raw = slices.Clone(data)
	if s.Argv == nil {
		s.Argv = s.Cmd
	}
	return nil
}

// IsCommand tells an invocation of the command from other steps.
func (s Step) IsCommand() bool { return s.Argv != nil }

// String is the step as one would type it.
func (s Step) String() string {
	if !s.IsCommand() {
		return string(s.Raw)
	}
	program := s.Program
	if program == "" {
		program = "ipvsadm"
	}
	return fmt.Sprintf("%s %q", program, s.Argv)
}

// Load reads all scenarios of a directory, in the order of their names.
func Load(dir string) ([]Scenario, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no recordings in %s", dir)
	}
	scenarios := make([]Scenario, len(files))
	for i, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &scenarios[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return scenarios, nil
}

// Mismatch is a step that came out otherwise than recorded.
type Mismatch struct {
	Index     int
	Step      Step
	What      string // "stdout", "stderr" or "exit"
	Got, Want string
}

// String shows both outcomes, one below the other.
func (m Mismatch) String() string {
	return fmt.Sprintf("step %d: %s: %s\n got: %q\nwant: %q", m.Index, m.Step, m.What, m.Got, m.Want)
}

// Play runs the commands of a scenario in turn and compares what they print.
// Steps that are no commands are skipped.
func Play(s Scenario, run func(Step) (stdout, stderr string, exit int)) []Mismatch {
	var found []Mismatch
	for i, step := range s.Steps {
		if !step.IsCommand() {
			continue
		}
		stdout, stderr, exit := run(step)
		if step.Masked != "" {
			stdout = MaskConns(stdout)
		}
		for _, c := range []struct{ what, got, want string }{
			{"stdout", stdout, step.Stdout},
			{"stderr", stderr, step.Stderr},
			{"exit", fmt.Sprint(exit), fmt.Sprint(step.Exit)},
		} {
			if c.got != c.want {
				found = append(found, Mismatch{i, step, c.what, c.got, c.want})
			}
		}
	}
	return found
}

// MaskConns makes a listing of connections comparable: times are hidden and the
// entries sorted, as in the recordings.
func MaskConns(listing string) string {
	lines := strings.Split(strings.TrimSuffix(listing, "\n"), "\n")
	entries := lines[min(2, len(lines)):]
	for i, entry := range entries {
		if fields := strings.Fields(entry); len(fields) > 1 {
			entries[i] = strings.Replace(entry, fields[1], "--:--", 1)
		}
	}
	slices.Sort(entries)
	return strings.Join(lines, "\n") + "\n"
}
