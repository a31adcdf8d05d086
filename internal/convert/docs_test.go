package convert

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/from-keepalived.md anew")

// pageOfKeepalived is the document of what becomes of what.
const pageOfKeepalived = "../../docs/from-keepalived.md"

// told is a directive that is not converted.
type told struct{ name, block, why string }

func untold[S any](block string, t table[S]) (rows []told, converted []string) {
	for name, row := range t {
		switch {
		case row.convert != nil:
			converted = append(converted, name)
		case row.anyway != "":
			rows = append(rows, told{name, block, "not needed: " + row.anyway})
		default:
			rows = append(rows, told{name, block, row.reason})
		}
	}
	return rows, converted
}

func TestThePageTellsWhatBecomesOfEveryDirective(t *testing.T) {
	var rows []told
	var all []string
	add := func(r []told, c []string) { rows, all = append(rows, r...), append(all, c...) }
	add(untold("the file", rootDirectives))
	add(untold("global_defs", globalDirectives))
	add(untold("virtual_server", serverDirectives))
	add(untold("real_server", realDirectives))
	add(untold("SSL_GET", sslDirectives))
	add(untold("url", urlDirectives))
	add(untold("checks", with(dnsDirectives, smtpDirectives, miscDirectives, udpDirectives, fileDirectives)))
	slices.SortFunc(rows, func(a, b told) int { return strings.Compare(a.name+a.block, b.name+b.block) })
	var b strings.Builder
	b.WriteString("| directive | of | why |\n|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.name, r.block, r.why)
	}
	raw, err := os.ReadFile(pageOfKeepalived)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- begin -->\n", "<!-- end -->\n"
	before, rest, _ := strings.Cut(string(raw), begin)
	have, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s has no %s…%s", pageOfKeepalived, begin, end)
	}
	if have != b.String() {
		if !*update {
			t.Errorf("%s is not what the tables say: go test ./internal/convert -run Page -update", pageOfKeepalived)
		} else if err := os.WriteFile(pageOfKeepalived, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name := range ldirectord {
		all = append(all, name)
	}
	for _, name := range all {
		if !strings.Contains(before+after, "`"+name+"`") && name != "vrrp_track_file" && name != "global_defs" && !strings.HasPrefix(name, "emailalert") {
			t.Errorf("%s has nothing on %s", pageOfKeepalived, name)
		}
	}
}
