package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestTheMedianIsTheMiddleOfTheRounds(t *testing.T) {
	tests := []struct {
		name   string
		rounds []float64
		want   Spread
	}{
		{"of none is nothing", nil, Spread{}},
		{"of one is that one", []float64{5}, Spread{5, 5, 5, 1}},
		{"of an odd number is the middle one", []float64{9, 1, 4}, Spread{4, 1, 9, 3}},
		{"of an even number lies between the two", []float64{8, 2, 4, 6}, Spread{5, 2, 8, 4}},
		{"is not moved by one outlier", []float64{10, 11, 12, 10, 500}, Spread{11, 10, 500, 5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Summarise(tt.rounds); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestSummariseLeavesTheRoundsInOrder(t *testing.T) {
	rounds := []float64{3, 1, 2}
	Summarise(rounds)
	if rounds[0] != 3 {
		t.Errorf("the rounds were sorted in place: %v", rounds)
	}
}

func row(flows int, target string, median float64) Row {
	return Row{
		Case: "NAT", Flows: flows, Target: target, Packets: 1_000_000,
		Cost:    Spread{median, median - 1, median + 1, 5},
		Harness: Spread{10, 9, 11, 5},
	}
}

func bar(flows int, wanted float64) Bar {
	return Bar{Case: "NAT", Flows: flows, Target: "ours", Yardstick: "theirs", Wanted: wanted}
}

func TestABarIsClearedByTheRatioOfTheMedians(t *testing.T) {
	rows := []Row{row(1, "ours", 40), row(1, "theirs", 50), row(10_000, "theirs", 90), row(7, "ours", 1), row(7, "theirs", 0)}
	tests := []struct {
		name string
		bar  Bar
		want string
	}{
		{"at the bar is a pass", bar(1, 0.8), "pass"},
		{"above it is a failure", bar(1, 0.79), "FAIL"},
		{"without the target nothing is measured", bar(10_000, 0.8), "not measured"},
		{"without either nothing is measured", bar(5, 0.8), "not measured"},
		{"a yardstick of nothing measures nothing", bar(7, 0.8), "not measured"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := Judge([]Bar{tt.bar}, rows)[0]
			if v.Result() != tt.want || v.Passed() != (tt.want == "pass") {
				t.Errorf("got %q, passed %t, measured %g; want %q", v.Result(), v.Passed(), v.Measured, tt.want)
			}
		})
	}
}

func example() Report {
	rows := []Row{row(1, "theirs", 50), row(1, "ours", 40), row(10_000, "theirs", 90.04)}
	return Report{
		Time:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Machine:  Machine{Processor: "An Example", Cores: 2, Kernel: "6.1.0", Arch: "amd64"},
		Rows:     rows,
		Verdicts: Judge([]Bar{bar(1, 0.8), bar(10_000, 0.8)}, rows),
	}
}

func TestTheReportReadsWellInEveryForm(t *testing.T) {
	r := example()
	var j bytes.Buffer
	if err := r.JSON(&j); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"report.txt": r.Text(), "report.md": r.Markdown(), "report.json": j.String()} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestTheJSONSaysNullForWhatWasNotMeasured(t *testing.T) {
	var b bytes.Buffer
	if err := example().JSON(&b); err != nil {
		t.Fatal(err)
	}
	var out struct {
		Bars []struct{ Measured *float64 }
	}
	if err := json.Unmarshal(b.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	if out.Bars[0].Measured == nil || *out.Bars[0].Measured != 0.8 || out.Bars[1].Measured != nil {
		t.Errorf("bars: %+v; want 0.8 and null", out.Bars)
	}
}

func TestNumbersOfFlowsAreWrittenShort(t *testing.T) {
	for n, want := range map[int]string{1: "1", 999: "999", 1000: "1k", 1500: "1500", 10_000: "10k", 1_000_000: "1M", 16_128_000: "16128k"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
	if got := Flows(1); got != "1 flow" {
		t.Errorf("Flows(1) = %q, want %q", got, "1 flow")
	}
}
