package verbs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAPoolIsSimulated(t *testing.T) {
	m := newMachine(t)
	file := filepath.Join(t.TempDir(), "weights.svg")
	out := m.must(t, "simulate --server a=100 --server b=300@10m:200/2 --noise 0 -o json --svg "+file)
	var moments []struct {
		Seconds float64
		Servers []struct {
			Name   string
			Weight int
			Load   float64
			Reason string
		}
	}
	if err := json.Unmarshal([]byte(out), &moments); err != nil {
		t.Fatal(err)
	}
	first, last := moments[0], moments[len(moments)-1]
	if first.Seconds != 0 || last.Seconds != 720 || last.Servers[1].Name != "b" || last.Servers[1].Reason != "load" {
		t.Errorf("from %+v to %+v", first, last)
	}
	if before := moments[len(moments)*5/6-1].Servers; before[0].Load/before[1].Load < 0.97 || before[0].Load/before[1].Load > 1.03 {
		t.Errorf("after ten minutes the loads are %v and %v", before[0].Load, before[1].Load)
	}
	if plot, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(plot), "<svg ") {
		t.Errorf("the plot is %.40q, %v", plot, err)
	}
	if table := m.must(t, "simulate"); !strings.HasPrefix(table, "TIME ") || !strings.Contains(table, "SERVER3") {
		t.Errorf("the table is\n%s", table)
	}
}

func TestAPoolThatCannotBeSimulatedIsRefused(t *testing.T) {
	m := newMachine(t)
	for args, reason := range map[string]string{
		"--server a=100":                            "two at least",
		"--server a=100 --server a=100":             "one of that name",
		"--server a":                                "no name or no capacity",
		"--server a=x --server b=1":                 `capacity "x"`,
		"--server a=1@5:2 --server b=1":             `"5" is no time`,
		"--server a=1@2m:2@1m:2 --server b=1":       "order of their times",
		"--server a=1/0 --server b=1":               `weight "0"`,
		"--server a=0 --server b=1":                 "want a number above 0",
		"--load 0":                                  "as 0.7",
		"--interval 1ms":                            "100ms or more",
		"--max-change 25":                           "no percentage",
		"-o yaml":                                   "text, json",
		"--svg /nowhere/at/all.svg --for 10s":       "/nowhere/at/all.svg",
		"--server a=1 --server b=1 --floor=-1":      "weights from 0 on",
		"--server a=1 --server b=1 --smoothing=-1s": "durations from 0s on",
	} {
		if r := m.run("", append([]string{"simulate"}, strings.Fields(args)...)...); r.code != 1 || r.out != "" || !strings.Contains(r.said, reason) {
			t.Errorf("%s: exit code %d, said %q, printed %.40q", args, r.code, r.said, r.out)
		}
	}
}
