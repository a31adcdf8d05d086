// Command record makes recordings of packets with the kernel's IPVS: it derives
// scenarios from those there are, by another family, method or protocol, and
// plays them where real IPVS and ipvsadm are.
//
//	record play -from DIR -out DIR [NAME...]   play, where the real ones are
//	record merge -out DIR RUN...               make one recording of several runs
//
// Each run should be on a kernel of its own: what differs is what may vary. A
// NAME that is recorded already is played as it is, to see that it comes out
// the same.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/evs-project/evs/test/conformance"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("record", flag.ContinueOnError)
	from := flags.String("from", "test/conformance/testdata/packet", "recordings to derive from")
	out := flags.String("out", "", "where to write")
	if len(args) == 0 {
		return fmt.Errorf("play or merge? see `go doc ./test/conformance/record`")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if *out == "" {
		return fmt.Errorf("give a directory to write to: -out DIR")
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	switch args[0] {
	case "play":
		all, err := load(*from)
		if err != nil {
			return err
		}
		return playAll(all, flags.Args(), *out)
	case "merge":
		return merge(*out, flags.Args())
	}
	return fmt.Errorf("%q: play or merge", args[0])
}

// scenario is a recording, or what is to become one.
type scenario struct {
	Name  string
	About string
	Steps []step
}

// step has the fields of one kind of step.
type step struct {
	Cmd    []string `json:"cmd"`
	Exit   int      `json:"exit"`
	Stdout string   `json:"stdout"`
	Stderr string   `json:"stderr"`
	Masked string   `json:"masked"`

	Sysctl []string          `json:"sysctl"`
	Mark   *conformance.Mark `json:"mark"`
	IP     []string          `json:"ip"`

	From     string `json:"from"`
	In       string `json:"in"`
	Note     string `json:"note"`
	Verified bool   `json:"verified"`
	Out      []out  `json:"out"`
}

// out is a frame that left.
type out struct {
	Side  string `json:"side"`
	Frame string `json:"frame"`
	Vary  []int  `json:"vary"`
}

// load reads recordings by name.
func load(dir string) (map[string]scenario, error) {
	recorded, err := conformance.Load(dir)
	if err != nil {
		return nil, err
	}
	all := map[string]scenario{}
	for _, r := range recorded {
		s := scenario{Name: r.Name, About: r.About}
		for _, raw := range r.Steps {
			one, err := conformance.Read[step](raw)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.Name, err)
			}
			s.Steps = append(s.Steps, one)
		}
		all[s.Name] = s
	}
	return all, nil
}

// playAll plays the named scenarios; if none is named, those that are derived
// and not recorded yet.
func playAll(recorded map[string]scenario, names []string, dir string) error {
	all := map[string]scenario{}
	var missing []string
	for _, s := range derived(recorded) {
		all[s.Name] = s
		if _, ok := recorded[s.Name]; !ok {
			missing = append(missing, s.Name)
		}
	}
	if len(names) == 0 {
		names = missing
	}
	maps.Copy(all, recorded)
	for _, name := range names {
		s, ok := all[name]
		if !ok {
			return fmt.Errorf("no scenario %q", name)
		}
		done, err := play(s)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := write(filepath.Join(dir, name+".json"), done); err != nil {
			return err
		}
	}
	return nil
}
