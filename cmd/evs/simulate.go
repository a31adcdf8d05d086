package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/weight"
)

const simulateLong = `Simulate a pool whose weights follow the load, and show how they settle: a table of
each server's weight and load, and the reason for its last weight. It runs the
controller that weightSource of the director's file configures, with value load, and
touches no table. The flags from --interval on are the keys of weightSource.

A server is NAME=CAPACITY, the requests a second that it can work on, then changes of
it as @TIME:CAPACITY, and /WEIGHT for a configured weight other than 1. Its share of
new connections is what its weight is of all weights, as with wrr and, on average,
wlc. docs/weights.md explains what is seen.`

// defaultSubjects is a pool of unequal servers, one of which loses half of its
// capacity for a while.
var defaultSubjects = []string{"server1=100", "server2=200", "server3=100@4m:50@8m:100"}

func simulateVerb() *cobra.Command {
	var s weight.Scenario
	var words []string
	var output, file string
	change := config.Percent(25)
	cmd := &cobra.Command{
		Use:   "simulate [--server NAME=CAPACITY[@TIME:CAPACITY...][/WEIGHT]]... [flags]",
		Short: "play how weights follow the load of a made-up pool",
		Long:  simulateLong,
		Example: `  evs simulate
  evs simulate --svg weights.svg
  evs simulate --server a=100 --server b=300/2 --server c=100@2m:50 --load 0.8
  evs simulate --interval 1s --smoothing 2s --for 2m -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := checkReport(output); err != nil {
				return err
			}
			if s.Subjects, err = subjectsOf(words); err != nil {
				return err
			}
			s.Source.MaxChange, s.Source.StaleAfter = change, 30*time.Second
			if err := s.Check(); err != nil {
				return err
			}
			run := weight.Simulate(s)
			if file != "" {
				if err := os.WriteFile(file, []byte(weight.SVG(s, run)), 0o644); err != nil {
					return err
				}
			}
			if output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(simulated(s, run))
			}
			return weight.PrintTable(cmd.OutOrStdout(), s, run)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringArrayVar(&words, "server", defaultSubjects, "a `SERVER` of the pool; may be given several times")
	f.Float64Var(&s.Load, "load", 0.6, "what clients ask for, as a `PART` of the capacity of all servers at the start")
	f.DurationVar(&s.Lifetime, "lifetime", 10*time.Second, "how long connections live, and feel old weights: a `DURATION`")
	f.Float64Var(&s.Noise, "noise", 0.03, "by which `PART` of itself each measured load is wrong, at most")
	f.Uint64Var(&s.Seed, "seed", 1, "`NUMBER` that the noise follows from")
	f.DurationVar(&s.For, "for", 12*time.Minute, "how long the clients go on: a `DURATION`")
	f.StringVar(&file, "svg", "", "draw shares and loads into `FILE`")
	f.DurationVar(&s.Source.Interval, "interval", 5*time.Second, "time between two readings: a `DURATION`")
	f.DurationVar(&s.Source.Smoothing, "smoothing", 10*time.Second, "time constant of the average of readings: a `DURATION`")
	f.Var((*percentFlag)(&change), "max-change", "by how much of the configured weight it changes at most in an interval: a `PERCENTAGE`")
	f.Int32Var(&s.Source.Floor, "floor", 0, "the least `WEIGHT`; 0 for a tenth of the configured one")
	f.Int32Var(&s.Source.Ceiling, "ceiling", 0, "the greatest `WEIGHT`; 0 for ten times the configured one")
	reportFlag(cmd, &output)
	return cmd
}

// percentFlag is a percentage as files write it.
type percentFlag config.Percent

func (p *percentFlag) String() string {
	text, _ := config.Percent(*p).MarshalText() // it has no error to give
	return string(text)
}

func (p *percentFlag) Set(text string) error { return (*config.Percent)(p).UnmarshalText([]byte(text)) }
func (p *percentFlag) Type() string          { return "percentage" }

// subjectsOf reads servers as "a=100@2m:50/3".
func subjectsOf(words []string) ([]weight.Subject, error) {
	seen := map[string]bool{}
	var all []weight.Subject
	for _, word := range words {
		s, err := subjectOf(word)
		if err != nil {
			return nil, fmt.Errorf("server %q: %w; want NAME=CAPACITY[@TIME:CAPACITY...][/WEIGHT], as web1=100@2m:50/3", word, err)
		}
		if seen[s.Name] {
			return nil, fmt.Errorf("server %q: there is one of that name already", word)
		}
		seen[s.Name] = true
		all = append(all, s)
	}
	return all, nil
}

func subjectOf(word string) (weight.Subject, error) {
	name, rest, ok := strings.Cut(word, "=")
	if !ok || name == "" {
		return weight.Subject{}, fmt.Errorf("it has no name or no capacity")
	}
	s := weight.Subject{Name: name, Weight: 1}
	rest, number, given := strings.Cut(rest, "/")
	if given {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || n == 0 {
			return s, fmt.Errorf("weight %q is no number from 1 to 65535", number)
		}
		s.Weight = int32(n)
	}
	for i, part := range strings.Split(rest, "@") {
		var c weight.Change
		if i > 0 {
			after, capacity, _ := strings.Cut(part, ":")
			at, err := time.ParseDuration(after)
			if err != nil || at < 0 {
				return s, fmt.Errorf("%q is no time like 90s or 2m", after)
			}
			c.At, part = at, capacity
		}
		capacity, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return s, fmt.Errorf("capacity %q is no number", part)
		}
		if c.Capacity = capacity; i == 0 {
			s.Capacity = capacity
			continue
		}
		if n := len(s.Changes); n > 0 && s.Changes[n-1].At >= c.At {
			return s, fmt.Errorf("its changes are not in the order of their times")
		}
		s.Changes = append(s.Changes, c)
	}
	return s, nil
}

// A moment and a subjectAt are what -o json prints, a document of all moments.
type moment struct {
	Seconds float64     `json:"seconds"`
	Servers []subjectAt `json:"servers"`
}

type subjectAt struct {
	Name   string  `json:"name"`
	Weight int     `json:"weight"`
	Load   float64 `json:"load"`
	Reason string  `json:"reason"`
}

func simulated(s weight.Scenario, run []weight.Moment) []moment {
	all := make([]moment, len(run))
	for i, m := range run {
		all[i].Seconds = m.At.Seconds()
		for k, w := range m.Weights {
			all[i].Servers = append(all[i].Servers, subjectAt{s.Subjects[k].Name, w.Table, m.Loads[k], string(w.Reason)})
		}
	}
	return all
}
