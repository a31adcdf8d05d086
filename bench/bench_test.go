package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/plot"
	"github.com/evs-project/evs/bench/report"
)

func TestARoundIsAsLongAsAsked(t *testing.T) {
	tests := []struct {
		name      string
		perPacket float64
		want      int
	}{
		{"a packet of 100 ns fits two million times", 100, 2_000_000},
		{"cheap packets stop at the most", 10, most},
		{"dear packets do not go below the fewest", 1000, fewest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := roundLength(200*time.Millisecond, tt.perPacket); got != tt.want {
				t.Errorf("got %d packets, want %d", got, tt.want)
			}
		})
	}
}

func TestTheCommandLineRefusesWhatItCannotMeasure(t *testing.T) {
	for _, args := range [][]string{{"-flows", "0"}, {"-flows", "1,x"}, {"-flows", "99999999"}, {"-rounds", "0"}, {"-methods", "tunnel"}, {"-only", "cost,pace"}, {"more"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v: no error", args)
		} else if !strings.Contains(err.Error(), "choose") && !strings.Contains(err.Error(), "-help") {
			t.Errorf("%v: %q names no remedy", args, err)
		}
	}
}

func TestFlowsAreReadFromAList(t *testing.T) {
	o, err := parse([]string{"-flows", "1, 500"}, io.Discard)
	if err != nil || !slices.Equal(o.flows, []int{1, 500}) {
		t.Errorf("got %v, %v; want [1 500]", o.flows, err)
	}
}

func TestEveryBarIsAboutATrialAndAYardstickThatExist(t *testing.T) {
	defaults, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bars {
		at := slices.IndexFunc(trials, func(tr trial) bool { return tr.name == b.Case })
		if at < 0 {
			t.Errorf("no trial is called %q", b.Case)
			continue
		}
		method := trials[at].method
		if !slices.ContainsFunc(contenders, func(c contender) bool { return c.name == b.Yardstick && c.method == method }) {
			t.Errorf("%q has no yardstick %q", b.Case, b.Yardstick)
		}
		if !slices.Contains(defaults.flows, b.Flows) {
			t.Errorf("%q wants %d flows, which are not measured unless asked for", b.Case, b.Flows)
		}
	}
}

func TestEveryMethodHasATrialAndAContender(t *testing.T) {
	for _, m := range []packet.Method{packet.Masq, packet.Route} {
		if !slices.ContainsFunc(trials, func(tr trial) bool { return tr.method == m }) {
			t.Errorf("nothing is measured of %s", m)
		}
		if !slices.ContainsFunc(contenders, func(c contender) bool { return c.method == m }) {
			t.Errorf("nobody is measured at %s", m)
		}
	}
}

func TestTheProcessorIsReadFromTheKernelsList(t *testing.T) {
	if got := processor("processor\t: 0\nmodel name\t: An Example CPU @ 1 GHz\nflags\t: x\n"); got != "An Example CPU @ 1 GHz" {
		t.Errorf("got %q", got)
	}
	if got := processor("no such line\n"); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
}

func TestOnlyNamesSomeParts(t *testing.T) {
	for list, want := range map[string][]string{"": partNames(), "pps": {"pps"}, "bulk, cost": {"bulk", "cost"}} {
		o, err := parse([]string{"-only", list}, io.Discard)
		if err != nil || !slices.Equal(o.only, want) {
			t.Errorf("-only %q: got %v, %v; want %v", list, o.only, err, want)
		}
	}
}

func TestTheReportHoldsEachPartAsMeasuredLast(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	for _, p := range []report.Part{
		{Name: "pps", Title: "Old", Charts: []plot.Chart{{Title: "a chart", Names: []string{"x"}, Series: []plot.Series{{Y: []float64{1}}}}}},
		{Name: "cost", Title: "Cost", Figures: []report.Figure{{Name: "a figure", Value: report.One(3)}}},
		{Name: "pps", Title: "New", Charts: []plot.Chart{{Title: "a chart"}}, Data: []int{7}},
	} {
		if err := publish(p, dir); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	cost, fresh := strings.Index(string(page), "## Cost"), strings.Index(string(page), "## New")
	if cost < 0 || fresh < cost || strings.Contains(string(page), "Old") || !strings.Contains(string(page), "](pps-1.svg)") {
		t.Errorf("want Cost, New and its chart in\n%s", page)
	}
	if _, err := os.Stat(filepath.Join(dir, "pps-1.svg")); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "report.json"))
	var whole struct{ Parts []report.Part }
	if err := errors.Join(err, json.Unmarshal(data, &whole)); err != nil || len(whole.Parts) != 2 || whole.Parts[0].Figures[0].Value.Median != 3 {
		t.Errorf("%v, %s", err, data)
	}
}
