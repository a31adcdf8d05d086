package report

import (
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

func TestABarIsHeldAgainstTheRatioOfTheMedians(t *testing.T) {
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
			f := Report{Verdicts: Judge([]Bar{tt.bar}, rows)}.Part("cost").Figures[0]
			if f.Result() != tt.want || f.Passed() != (tt.want == "pass") {
				t.Errorf("got %q, passed %t, measured %g; want %q", f.Result(), f.Passed(), f.Value.Median, tt.want)
			}
		})
	}
}

func TestAFigureIsHeldAgainstItsBar(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    Figure
		bar  string
		want string
	}{
		{"no bar", Figure{Value: One(7)}, "", ""},
		{"at most, and it is", Figure{Value: One(2), Most: 2, Unit: "ms"}, "≤ 2 ms", "pass"},
		{"at most, and it is more", Figure{Value: One(2.01), Most: 2}, "≤ 2", "FAIL"},
		{"at least, and it is", Figure{Value: One(4.5), Least: 4.5}, "≥ 4.5", "pass"},
		{"at least, and it is less", Figure{Value: One(4.4), Least: 4.5}, "≥ 4.5", "FAIL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.f.Bar() != tt.bar || tt.f.Result() != tt.want || tt.f.Passed() != (tt.want != "FAIL") {
				t.Errorf("bar %q, result %q, passed %t; want %q, %q", tt.f.Bar(), tt.f.Result(), tt.f.Passed(), tt.bar, tt.want)
			}
		})
	}
}

func TestAPartPassesWhenAllItsBarsAreCleared(t *testing.T) {
	good, bad := Figure{Value: One(1), Most: 1}, Figure{Value: One(1), Least: 2}
	if !(Part{Figures: []Figure{good, good}}).Passed() || (Part{Figures: []Figure{good, bad}}).Passed() {
		t.Error("want the first to pass and the second not")
	}
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	if got, want := Over([]float64{2, 30, 4}, []float64{1, 10, 1}), (Spread{3, 2, 4, 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func example() Part {
	rows := []Row{row(1, "theirs", 50), row(1, "ours", 40), row(10_000, "theirs", 90.04)}
	p := Report{Rows: rows, Verdicts: Judge([]Bar{bar(1, 0.8), bar(10_000, 0.8)}, rows)}.Part("cost")
	p.Time = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p.Machine = Machine{Processor: "An Example", Cores: 2, Kernel: "6.1.0", Arch: "amd64"}
	return p
}

func TestTheReportReadsWellInEveryForm(t *testing.T) {
	p := example()
	j, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"report.txt": p.Text(), "report.markdown": p.Markdown(), "report.json": string(j) + "\n"} {
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
