package conformance

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestRecordingsAreLoaded(t *testing.T) {
	scenarios, err := Load("testdata/cli")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		if s.Family != "cli" || s.Name == "" || len(s.Steps) == 0 {
			t.Errorf("%q of family %q has %d steps", s.Name, s.Family, len(s.Steps))
		}
		for i, step := range s.Steps {
			if !step.IsCommand() {
				t.Errorf("%s: step %d is no command: %s", s.Name, i, step)
			}
		}
	}
	if _, err := Load("testdata/none"); err == nil {
		t.Error("a folder without recordings is no error")
	}
}

func TestStepsOfOtherKindsKeepTheirText(t *testing.T) {
	var s Scenario
	text := `{"family": "sched", "steps": [{"cmd": ["-C"], "exit": 0}, {"pkt": {"proto": "tcp"}, "to": "203.0.113.1"}]}`
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	if !s.Steps[0].IsCommand() || s.Steps[0].Argv[0] != "-C" {
		t.Errorf("cmd is not read as a command: %s", s.Steps[0])
	}
	if s.Steps[1].IsCommand() || !strings.Contains(string(s.Steps[1].Raw), `"to"`) {
		t.Errorf("the packet is lost: %s", s.Steps[1])
	}
}

func TestEveryDifferenceIsReported(t *testing.T) {
	s := Scenario{Steps: []Step{
		{Argv: []string{"-Lnc"}, Masked: "expire, order", Stdout: "a\nb\nTCP --:-- 1\nTCP --:-- 2\n"},
		{Argv: []string{"-C"}, Exit: 2, Stderr: "no\n"},
		{Raw: []byte(`{"sleep": 1}`)},
	}}
	found := Play(s, func(step Step) (string, string, int) {
		if step.Argv[0] == "-Lnc" {
			return "a\nb\nTCP 00:59 2\nTCP 01:00 1\n", "", 0
		}
		return "yes\n", "", 0
	})
	var whats []string
	for _, m := range found {
		if m.Index != 1 {
			t.Errorf("unexpected: %s", m)
		}
		whats = append(whats, m.What)
	}
	if got := strings.Join(whats, " "); got != "stdout stderr exit" {
		t.Errorf("found %q", got)
	}
}
