package config

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/evs-project/evs/internal/ipvsadm"
	"github.com/evs-project/evs/ipvs"
)

// names are the names of a system that knows none.
type names struct{}

func (names) HostAddr(string) (netip.Addr, bool)        { return netip.Addr{}, false }
func (names) HostName(netip.Addr) (string, bool)        { return "", false }
func (names) ServicePort(string, string) (uint16, bool) { return 0, false }
func (names) ServiceName(uint16, string) (string, bool) { return "", false }

// said is what a file wants, as rules in the order of the file.
func said(r Rules) string {
	var b strings.Builder
	for _, w := range r.Services {
		fmt.Fprintf(&b, "%s %s:", w.ServiceKey, w.Scheduler)
		for _, d := range w.Destinations {
			fmt.Fprintf(&b, " %s=%d", d.Addr, d.Weight)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestAFileWantsWhatItsLinesLeadTo(t *testing.T) {
	for _, test := range []struct{ name, file, want string }{
		{"an empty file wants nothing", "", ""},
		{"blank lines and comments are left out", "# rules\n\n   \n  # more\n", ""},
		{"the last line needs no end", "-A -t 203.0.113.10:80 -s rr", "TCP 203.0.113.10:80 rr:\n"},
		{"the program may stand in front, with a path too",
			"ipvsadm -A -t 203.0.113.10:80\n/sbin/ipvsadm -a -t 203.0.113.10:80 -r 192.0.2.2 -w 3\n",
			"TCP 203.0.113.10:80 wlc: 192.0.2.2:80=3\n"},
		{"an edit replaces what was", "-A -f 5 -s rr\n-a -f 5 -r 192.0.2.2:80\n-e -f 5 -r 192.0.2.2:80 -w 7\n-E -f 5 -s sh\n",
			"FWM 5 sh: 192.0.2.2:80=7\n"},
		{"what is deleted again is not wanted",
			"-A -f 5 -s rr\n-a -f 5 -r 192.0.2.2:80\n-a -f 5 -r 192.0.2.3:80\n-d -f 5 -r 192.0.2.2:80\n-A -f 6\n-D -f 6\n",
			"FWM 5 rr: 192.0.2.3:80=1\n"},
		{"-C begins anew", "-A -f 5\n-C\n-A -f 6 -6\n", "FWM 6 IPv6 wlc:\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, errs := ReadRules(strings.NewReader(test.file), names{})
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if got := said(r); got != test.want {
				t.Errorf("wants\n%s\nnot\n%s", got, test.want)
			}
		})
	}
}

func TestEveryBadLineIsReportedWithItsNumber(t *testing.T) {
	file := strings.Join([]string{
		"# a comment",                        // 1
		"-A -t 203.0.113.10:80 -s best",      // 2
		"-A -t 203.0.113.10:81 -s rr",        // 3
		"-A -t 203.0.113.10:81 -s rr",        // 4
		"",                                   // 5
		"-a -t 203.0.113.99:80 -r 192.0.2.2", // 6
		"-a -t 203.0.113.10:81 -r 192.0.2.2", // 7
		"-a -t 203.0.113.10:81 -r 192.0.2.2", // 8
		"-a -t 203.0.113.10:81 -r 224.0.0.1", // 9
		"-a -t 203.0.113.10:81 -w",           // 10
		"-x",                                 // 11
		"-L",                                 // 12
		"--set 1 2 3",                        // 13
		"-e -t 203.0.113.10:81 -r 192.0.2.9", // 14
		"-A -u 203.0.113.10:82 -s rr -p 60",  // 15
	}, "\n")
	_, errs := ReadRules(strings.NewReader(file), names{})
	var bad []int
	for _, err := range errs {
		bad = append(bad, err.Line)
		if !strings.Contains(err.Error(), fmt.Sprintf("line %d: ", err.Line)) {
			t.Errorf("%v does not name its line", err)
		}
	}
	if want := []int{2, 4, 6, 8, 9, 10, 11, 12, 13, 14}; !slices.Equal(bad, want) {
		t.Errorf("bad lines are %v, want %v: %v", bad, want, errs)
	}
}

func TestWhatTheTableRefusesIsFoundInTheFile(t *testing.T) {
	file := "# one\n-A -t 203.0.113.10:80 -s rr\n-a -t 203.0.113.10:80 -r 192.0.2.255\n"
	r, errs := ReadRules(strings.NewReader(file), names{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	refused := &ipvs.SpecError{
		Service:     ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("203.0.113.10:80")),
		Destination: netip.MustParseAddrPort("192.0.2.255:80"),
		Err:         ipvs.ErrInvalid,
	}
	if at := r.Locate(errors.Join(refused)); len(at) != 1 || at[0].Line != 3 {
		t.Errorf("%v, want line 3", at)
	}
}

func FuzzRulesAreReadOrRefusedAndReadAgain(f *testing.F) {
	f.Add("-A -t 203.0.113.10:80 -s rr -p 60\n-a -t 203.0.113.10:80 -r 192.0.2.2 -m\n")
	f.Add("ipvsadm -A -f 5 -6\n-C\n#\n")
	f.Fuzz(func(t *testing.T, file string) {
		r, errs := ReadRules(strings.NewReader(file), names{})
		if len(errs) > 0 {
			return
		}
		var table []ipvs.ServiceInfo
		for _, w := range r.Services {
			s := ipvs.ServiceInfo{Service: w.Service}
			for _, d := range w.Destinations {
				s.Destinations = append(s.Destinations, ipvs.DestinationInfo{Destination: d})
			}
			table = append(table, s)
		}
		var out bytes.Buffer
		p := ipvsadm.Printer{Out: &out, Names: names{}, Format: ipvsadm.Format{Numeric: true}}
		p.Rules(table)
		if _, errs := ReadRules(&out, names{}); len(errs) > 0 {
			t.Errorf("what is saved cannot be read: %v", errs)
		}
	})
}
