package weight

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/config"
)

var update = flag.Bool("update", false, "draw the pictures of docs anew")

// pictured is the scenario of docs/weights.md, which is that of evs simulate.
var pictured = Scenario{
	Subjects: []Subject{
		{Name: "server1", Weight: 1, Capacity: 100},
		{Name: "server2", Weight: 1, Capacity: 200},
		{Name: "server3", Weight: 1, Capacity: 100, Changes: []Change{{4 * time.Minute, 50}, {8 * time.Minute, 100}}},
	},
	Load: 0.6, Lifetime: 10 * time.Second, Noise: 0.03, For: 12 * time.Minute, Seed: 1,
	Source: config.WeightSource{Interval: 5 * time.Second, Smoothing: 10 * time.Second, StaleAfter: 30 * time.Second, MaxChange: 25},
}

func TestThePictureOfTheDocumentationShowsWhatTheControllerDoes(t *testing.T) {
	for file, run := range map[string][]Moment{
		"../../docs/weights.svg":          Simulate(pictured),
		"../../docs/weights-undamped.svg": play(pictured, naive(pictured)),
	} {
		picture := SVG(pictured, run)
		if *update {
			if err := os.WriteFile(file, []byte(picture), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if was, err := os.ReadFile(file); err != nil || string(was) != picture {
			t.Errorf("%s shows something else than the controller does (%v); draw it anew with -update and look at it", file, err)
		}
	}
}

func TestAPlotIsXMLWhateverServersAreCalled(t *testing.T) {
	s := pictured
	s.Subjects = append([]Subject{{Name: `<a> & "b"`, Weight: 1, Capacity: 1}}, s.Subjects...)
	decoder := xml.NewDecoder(strings.NewReader(SVG(s, Simulate(s))))
	lines := 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			lines++
		}
	}
	if lines != 2*len(s.Subjects) {
		t.Errorf("%d lines for %d servers in two panels", lines, len(s.Subjects))
	}
}

func TestATableEndsWithTheLastMomentAndTheReasons(t *testing.T) {
	var b strings.Builder
	run := Simulate(pictured)
	if err := PrintTable(&b, pictured, run); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if n := len(lines); n < 20 || n > 35 || !strings.HasPrefix(lines[n-4], "12m0s ") || !strings.Contains(lines[n-1], ByLoad.About()) {
		t.Errorf("the table is\n%s", b.String())
	}
}

func TestWhatCannotBeSimulatedIsRefused(t *testing.T) {
	for reason, spoil := range map[string]func(*Scenario){
		"two at least":     func(s *Scenario) { s.Subjects = s.Subjects[:1] },
		"above 0, as 0.7":  func(s *Scenario) { s.Load = 0 },
		"less than 1":      func(s *Scenario) { s.Noise = 1 },
		"100000 intervals": func(s *Scenario) { s.Source.Interval = 0 },
		"of 100ms or more": func(s *Scenario) { s.Source.Interval = 1 },
		"durations from":   func(s *Scenario) { s.Lifetime = -1 },
		"weights from 0":   func(s *Scenario) { s.Source.Floor = -1 },
		"server2: capac":   func(s *Scenario) { s.Subjects[1].Capacity = -1 },
	} {
		s := pictured
		s.Subjects = append([]Subject(nil), s.Subjects...)
		spoil(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%v; want an error with %q", err, reason)
		}
	}
}
