package ipvs_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/evs-project/evs/ipvs"
)

var update = flag.Bool("update", false, "write the table of settings in docs/sysctl.md anew")

// The answers are those of Linux 6.1 to the same words, but for the last group.
func TestSettingsTakeWhatTheKernelTakes(t *testing.T) {
	inNamespace(t, func(table *ipvs.Table) error {
		for _, c := range []struct{ name, write, reads string }{ // "": refused
			{"am_droprate", "-1", "-1"},
			{"am_droprate", "2147483647", "2147483647"},
			{"am_droprate", "2147483648", ""},
			{"am_droprate", "-2147483649", ""},
			{"am_droprate", " 7 ", "7"},
			{"am_droprate", "010", "8"},
			{"am_droprate", "08", ""},
			{"am_droprate", "0X1F", "31"},
			{"am_droprate", "-0x10", "-16"},
			{"am_droprate", "0b1", ""},
			{"am_droprate", "0o7", ""},
			{"am_droprate", "1_0", ""},
			{"am_droprate", "1x", ""},
			{"am_droprate", "+1", ""},
			{"am_droprate", "3,4", ""},
			{"am_droprate", "", ""},
			{"sloppy_tcp", "5", "5"},
			{"drop_entry", "-1", ""},
			{"drop_entry", "1", "1"},
			{"drop_entry", "2", "1"}, // automatic, and no need
			{"drop_entry", "3", "3"},
			{"drop_entry", "4", ""},
			{"sync_ports", "0", ""},
			{"sync_ports", "3", ""},
			{"sync_ports", "1073741824", "1073741824"},
			{"sync_retries", "3", "3"},
			{"sync_retries", "4", ""},
			{"sync_version", "0", "0"},
			{"sync_version", "2", ""},
			{"sync_qlen_max", "-1", ""},
			{"sync_qlen_max", "4294967295", "4294967295"},
			{"lblc_expiration", "-3", "-3"},
			{"lblc_expiration", "2147483647", ""},
			{"sync_threshold", "5", "5\t50"},
			{"sync_threshold", "100", ""},
			{"sync_threshold", "5 5", ""},
			{"sync_threshold", "3 -1", ""},
			{"sync_threshold", "5 0", "5\t0"},
			{"sync_threshold", "9", "9\t0"},
			{"conntrack", "0", "0"},
			// Here EVS is stricter: the kernel takes what it does nothing with.
			{"am_droprate", "3 4", ""},
			{"conntrack", "1", ""},
			{"mss_clamp", "2", ""},
		} {
			before, err := table.Sysctl(c.name)
			if err != nil {
				return err
			}
			foreseen, unforeseen := before.With(c.write)
			err = table.SetSysctl(ipvs.SysctlPrefix+c.name, c.write)
			after, readErr := table.Sysctl(c.name)
			want := c.reads
			if want == "" {
				want = before.Value
			}
			if refused := errors.Is(err, ipvs.ErrInvalid); readErr != nil || refused != (c.reads == "") || after.Value != want {
				t.Errorf("%s = %q: %v, and reads %q, want %q", c.name, c.write, err, after.Value, want)
			}
			if errors.Is(unforeseen, ipvs.ErrInvalid) != (c.reads == "") || unforeseen == nil && foreseen != after {
				t.Errorf("%s = %q: foreseen was %q, %v", c.name, c.write, foreseen.Value, unforeseen)
			}
		}
		return nil
	})
}

func TestEverySettingReadsItsDefaultAndTakesItBack(t *testing.T) {
	inNamespace(t, func(table *ipvs.Table) error {
		none, err := table.Sysctls()
		if err != nil {
			return err
		}
		if err := table.SetSysctl("mss_clamp", "0"); err != nil { // makes the table
			return err
		}
		made, err := table.Sysctls()
		if err != nil {
			return err
		}
		for i, s := range made {
			if s != none[i] || s.Value != s.Default {
				t.Errorf("%s is %q in a new table and %q without one, the default is %q", s.Name, s.Value, none[i].Value, s.Default)
			}
			if s.Default == "" { // a list that cannot be written
				continue
			}
			if err := table.SetSysctl(s.Name, s.Value); err != nil {
				t.Errorf("the default is refused: %v", err)
			}
		}
		return nil
	})
}

func TestOfSeveralSettingsAllAreMadeOrNone(t *testing.T) {
	inNamespace(t, func(table *ipvs.Table) error {
		for _, last := range []ipvs.SysctlValue{{"drop_packet", "9"}, {"no_such", "1"}, {"sync_threshold", "60"}} {
			err := table.SetSysctls([]ipvs.SysctlValue{{"sloppy_tcp", "1"}, {"net/ipv4/vs/sloppy_sctp", "1"}, last})
			if err == nil {
				t.Errorf("%v was taken", last)
			}
			all, err := table.Sysctls()
			if err != nil {
				return err
			}
			for _, s := range all {
				if s.Value != s.Default {
					t.Errorf("%v was refused, but %s is %s", last, s.Name, s.Value)
				}
			}
		}
		if err := table.SetSysctl("no_such", "1"); !errors.Is(err, ipvs.ErrNoSysctl) {
			t.Errorf("no_such: %v", err)
		}
		return nil
	})
}

func TestTheDocumentListsEverySetting(t *testing.T) {
	const file, begin, end = "../docs/sysctl.md", "<!-- begin -->\n", "<!-- end -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), begin)
	have, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s lacks the marks around its table", file)
	}
	var want strings.Builder
	want.WriteString("| name | default | values | what EVS does with it | meaning |\n|---|---|---|---|---|\n")
	for _, s := range ipvs.SysctlDefaults() {
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s | %s |\n", s.Name, strings.ReplaceAll(s.Default, "\t", " "), s.Range, s.Effect, s.About)
	}
	if *update {
		if err := os.WriteFile(file, []byte(head+begin+want.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != want.String() {
		t.Errorf("%s differs from the program: run `go test ./ipvs -run Document -update`", file)
	}
}
