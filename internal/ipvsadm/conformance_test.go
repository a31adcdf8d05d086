package ipvsadm

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/evs-project/evs/test/conformance"
)

const recordings = "../../test/conformance/testdata/cli"

// player runs the steps of a scenario against a table of its own.
func player(ctx context.Context, table Table) func(conformance.Step) (string, string, int) {
	return func(step conformance.Step) (string, string, int) {
		var stdout, stderr bytes.Buffer
		name := step.Program
		if name == "" {
			name = "ipvsadm"
		}
		exit := Main(ctx, name, step.Argv,
			Streams{In: strings.NewReader(step.Stdin), Out: &stdout, Err: &stderr},
			Host{Open: func(context.Context) (Table, error) { return table, nil }, Names: testNames, UID: step.UID})
		return stdout.String(), stderr.String(), exit
	}
}

func TestTheCommandDoesWhatTheRealOneDid(t *testing.T) {
	dirs := []string{recordings}
	if more := os.Getenv("EVS_RECORDINGS"); more != "" {
		dirs = append(dirs, more)
	}
	for _, dir := range dirs {
		scenarios, err := conformance.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range scenarios {
			t.Run(s.Name, func(t *testing.T) {
				for _, m := range conformance.Play(s, player(t.Context(), newMemory())) {
					t.Error(m)
				}
			})
		}
	}
}
