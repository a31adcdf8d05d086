package convert

import (
	"strings"
	"testing"

	"github.com/evs-project/evs/internal/config"
)

// convertAndRead converts hostile text: what comes of it is a director's file, or
// it is told why it is none.
func convertAndRead(t *testing.T, language, text string) {
	o := paper
	o.Files = only{"paper", []byte(text)}
	result, err := Convert(language, "paper", o)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	for _, n := range result.Notes {
		if n.Reason == "" || n.File == "" {
			t.Errorf("%+v does not say where and why", n)
		}
	}
	if _, wrong := config.Load("a", only{"a", result.Text}); wrong != nil && len(result.Notes) == 0 {
		t.Errorf("%q became\n%s\nwhich is refused, and nothing was told: %v", text, result.Text, wrong)
	}
}

func FuzzAKeepalivedConfIsConvertedOrReported(f *testing.F) {
	list := []string{base, "~SEQ(A,1,3) ~LST({B,C},{1,2},{3,4}) virtual_server ${A}.${B} ${C}\n", "$A=$A\n$A", "$B= \\\n$C \\\n$D\n$B\n@x virtual_server fwmark 1 {\n}\n"}
	for _, text := range list {
		f.Add(text)
	}
	f.Add(strings.ReplaceAll(base, "@", "#"))
	f.Fuzz(func(t *testing.T, text string) { convertAndRead(t, "keepalived", text) })
}

func FuzzAnLdirectordConfIsConvertedOrReported(f *testing.F) {
	f.Add(ldAll)
	f.Fuzz(func(t *testing.T, text string) { convertAndRead(t, "ldirectord", text) })
}
