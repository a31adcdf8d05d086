package config

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/evs.schema.json and the tables of docs/evs.yaml.md anew")

func TestTheSchemaIsThatOfTheDecoder(t *testing.T) {
	want, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	const file = "../../docs/evs.schema.json"
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || string(have) != string(want) {
		t.Errorf("%s is not what the tables of the decoder say (%v): go test ./internal/config -run Schema -update", file, err)
	}
}

func TestTheReferenceNamesEveryKey(t *testing.T) {
	var b strings.Builder
	for _, table := range Reference() {
		fmt.Fprintf(&b, "### %s\n\n| key | value | default | meaning |\n|---|---|---|---|\n", table.Name)
		for _, r := range table.Rows {
			cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
			fallback := ""
			if r.Default != "" {
				fallback = "`" + r.Default + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.Name, cell(r.Value), strings.ReplaceAll(fallback, "`as ", "as `"), cell(r.About))
		}
		b.WriteString("\n")
	}
	const file, begin, end = "../../docs/evs.yaml.md", "<!-- begin -->\n", "<!-- end -->\n"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(raw), begin)
	have, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s has no %s…%s", file, begin, end)
	}
	if have == b.String() {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the tables of the decoder say: go test ./internal/config -run Reference -update", file)
	}
	if err := os.WriteFile(file, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fenced are the examples of a document.
var fenced = regexp.MustCompile("(?s)```yaml\n(.*?)```")

func TestEveryExampleOfTheReferenceIsAFile(t *testing.T) {
	raw, err := os.ReadFile("../../docs/evs.yaml.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := fenced.FindAllStringSubmatch(string(raw), -1)
	if len(examples) < 5 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, e := range examples {
		if _, wrong := Load("a", paper{"a": e[1], "conf.d/web.yaml": "services: []"}); wrong != nil {
			t.Errorf("%v in\n%s", wrong, e[1])
		}
	}
}

func TestTheReferenceExplainsEveryKeyButThoseOfChecks(t *testing.T) {
	var all []string
	for _, table := range Reference() {
		all = append(all, table.Name)
	}
	for _, name := range []string{"Desired", "Timeouts", "Mark", "API", "ServerTLS", "Pool", "Service", "Persistence", "Tunnel", "Hook", "Drain", "WeightSource", "Sorry", "Destination", "Discovery"} {
		if !slices.Contains(all, name) {
			t.Errorf("%s is not among %v: a key has no about", name, all)
		}
	}
}
