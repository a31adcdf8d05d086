package ipvsadm

import (
	"errors"
	"strings"
	"testing"

	"github.com/evs-project/evs/test/conformance"
)

// FuzzParse looks for command lines that the parser cannot judge.
func FuzzParse(f *testing.F) {
	scenarios, err := conformance.Load(recordings)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range scenarios {
		for _, step := range s.Steps {
			f.Add(strings.Join(step.Argv, "\n"))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		op, err := Parse(strings.Split(text, "\n"), testNames)
		var complaint *Complaint
		switch {
		case err != nil && !errors.As(err, &complaint):
			t.Errorf("%T is no complaint: %v", err, err)
		case complaint != nil && (complaint.Text == "" || complaint.Exit == 0):
			t.Errorf("an empty complaint: %+v", complaint)
		case err == nil && op.Selected && op.Service.FWMark == 0 && !op.Service.Addr.IsValid():
			t.Errorf("a service is selected that has no key: %+v", op)
		}
	})
}

// FuzzRestore looks for rules that bring the command down.
func FuzzRestore(f *testing.F) {
	f.Add("-A -t 198.51.100.129:80 -s rr\n-a -t 198.51.100.129:80 -r 203.0.113.1:80 -g -w 1\n")
	f.Add("ipvsadm -A -f 1\n\n# comment\n-R\n-L\n-Lnc\n-S\n-A -f 14\x00 -s rr\r\n")
	f.Fuzz(func(t *testing.T, rules string) {
		_, stderr, exit := player(t.Context(), newMemory())(conformance.Step{Argv: []string{"-R"}, Stdin: rules})
		if exit != 0 && stderr == "" {
			t.Errorf("exit %d without a word", exit)
		}
	})
}
