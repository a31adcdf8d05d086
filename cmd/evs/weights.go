package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/api"
	"github.com/evs-project/evs/internal/keep"
	"github.com/evs-project/evs/internal/listing"
	"github.com/evs-project/evs/internal/options"
)

func weightsVerb() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "weights [-o table|wide|json|yaml] [--socket SOCKET]",
		Short: "say of each server what weight it has, and why",
		Long: `Say of each server of the director what weight the file gives it, what it has now, why
that is so, and what its weight source has said last. Both weights are in units of the
file; wide adds what the table has, which is a multiple in services whose weights move.
docs/weights.md explains the reasons.`,
		Example: "  evs weights\n  evs weights -o json | jq '.weights[] | select(.reason == \"stale\")'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return showAnswer(cmd, output, weightColumns, (*api.Client).Weights, func(w api.Weights) []api.ServerWeight { return w.Weights })
		},
	}
	outputFlag(cmd, &output)
	socketFlag(cmd)
	return cmd
}

var weightColumns = []listing.Column[api.ServerWeight]{
	{Title: "SERVICE", Cell: func(w api.ServerWeight) any { return w.Service }},
	{Title: "SERVER", Cell: func(w api.ServerWeight) any { return w.Destination }},
	{Title: "STATE", Cell: func(w api.ServerWeight) any { return w.State }},
	{Title: "CONFIGURED", Cell: func(w api.ServerWeight) any { return w.Configured }},
	{Title: "NOW", Cell: func(w api.ServerWeight) any { return decimal(w.Now) }},
	{Title: "GOAL", Wide: true, Cell: func(w api.ServerWeight) any { return decimal(w.Goal) }},
	{Title: "TABLE", Wide: true, Cell: func(w api.ServerWeight) any { return w.Table }},
	{Title: "REASON", Cell: func(w api.ServerWeight) any { return w.Reason }},
	{Title: "READING", Cell: func(w api.ServerWeight) any { return reading(w.Reading) }},
	{Title: "SOURCE", Wide: true, Cell: func(w api.ServerWeight) any {
		if w.Source == "" {
			return "-"
		}
		return w.Source
	}},
	{Title: "WHY", Wide: true, Cell: func(w api.ServerWeight) any { return w.About }},
}

// decimal writes a number with two places at most.
func decimal(x float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", x), "0"), ".")
}

// reading is what a source said, and how long ago.
func reading(r *api.Reading) string {
	if r == nil {
		return "-"
	}
	var words []string
	if r.Unit != "" {
		words = append(words, decimal(r.Value)+" "+r.Unit)
	}
	if r.Drain {
		words = append(words, "drain")
	}
	if r.Down {
		words = append(words, "down")
	}
	if r.About != "" {
		words = append(words, fmt.Sprintf("%q", r.About))
	}
	return fmt.Sprintf("%s, %v ago", strings.Join(words, ", "), ago(max(0, time.Since(r.At))))
}

func overrideVerb() *cobra.Command {
	var r api.OverrideRequest
	var weight int32
	var state, output string
	var within time.Duration
	var end bool
	cmd := &cobra.Command{
		Use:   "override [ADDRESS[:PORT] [SERVICE] {[--weight WEIGHT] [--state up|down] [--for TIME] [--why TEXT] | --end}]",
		Short: "set a server's weight or state by hand, in place of what the director finds",
		Long: `Set the weight of a real server by hand, or what it is taken for whatever its checks say.
Without a port all ports of the server are meant, without SERVICE (--tcp, --udp, --sctp
ADDRESS:PORT, or --fwmark MARK) all services; of several overrides that mean a server the
narrowest holds. The weight is in units of the file. A drain goes before an override.
It holds until --end, or for TIME; it outlives a restart of the director.

Without a server it lists the overrides.`,
		Example: `  evs override 192.0.2.2 --state down --for 1h --why 'new disks'
  evs override 192.0.2.2:8080 --tcp 203.0.113.10:80 --weight 1
  evs override 192.0.2.2 --end`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) == 0 {
				return listOverrides(cmd, output)
			}
			if r.Scope, err = scopeArgument(cmd, args[0]); err != nil {
				return err
			}
			if end {
				return endOverrides(cmd, r.Scope)
			}
			if cmd.Flags().Changed("weight") {
				r.Weight = &weight
			}
			if cmd.Flags().Changed("for") {
				r.For = (*api.Duration)(&within)
			}
			r.State = keep.State(state)
			if err := r.Check(); err != nil {
				return err
			}
			return withDirector(cmd, func(c *api.Client) error {
				o, err := c.Override(cmd.Context(), r)
				if err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "%s is overridden: %s\n", o.Scope, overridden(o))
				}
				return err
			})
		},
	}
	addFlags(cmd, options.Keys)
	cmd.Flags().Int32Var(&weight, "weight", 0, "the `WEIGHT`, in units of the file")
	cmd.Flags().StringVar(&state, "state", "", "what the server is taken for: `up` or down")
	cmd.Flags().DurationVar(&within, "for", 0, "for how long, as a `TIME`: 1h; until --end if left out")
	cmd.Flags().StringVar(&r.Why, "why", "", "a remark for people, as `TEXT`")
	cmd.Flags().BoolVar(&end, "end", false, "end the overrides")
	socketFlag(cmd)
	outputFlag(cmd, &output)
	completeScope(cmd)
	complete(cmd, "state", fixed(string(keep.Up), string(keep.Down)))
	complete(cmd, "for", fixed("10m", "1h", "24h"))
	return cmd
}

// overridden says what an override sets.
func overridden(o keep.Override) string {
	var words []string
	if o.State != "" {
		words = append(words, string(o.State))
	}
	if o.Weight != nil {
		words = append(words, fmt.Sprintf("weight %d", *o.Weight))
	}
	return strings.Join(words, ", ")
}

// endOverrides ends those that mean nothing else than the scope.
func endOverrides(cmd *cobra.Command, scope keep.Scope) error {
	return withDirector(cmd, func(c *api.Client) error {
		all, err := c.Overrides(cmd.Context())
		if err != nil {
			return err
		}
		ended := 0
		for _, o := range all.Overrides {
			if !o.Within(scope) {
				continue
			}
			if err := c.Unoverride(cmd.Context(), o.ID); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is not overridden any more\n", o.Scope)
			ended++
		}
		if ended == 0 {
			return fmt.Errorf("no override of %s: `evs override` lists those there are", scope)
		}
		return nil
	})
}

var overrideColumns = []listing.Column[keep.Override]{
	{Title: "SERVER", Cell: func(o keep.Override) any { return o.Server }},
	{Title: "SERVICE", Cell: func(o keep.Override) any { return serviceOr(o.Scope, "all") }},
	{Title: "OVERRIDE", Cell: func(o keep.Override) any { return overridden(o) }},
	{Title: "SINCE", Cell: func(o keep.Override) any { return o.Since.Local().Format(time.DateTime) }},
	{Title: "UNTIL", Cell: func(o keep.Override) any {
		if o.Until.IsZero() {
			return "-"
		}
		return o.Until.Local().Format(time.DateTime)
	}},
	{Title: "WHY", Cell: func(o keep.Override) any { return o.Why }},
	{Title: "ID", Wide: true, Cell: func(o keep.Override) any { return o.ID }},
}

// serviceOr is the service that a scope names, or other.
func serviceOr(s keep.Scope, other string) string {
	if s.Service.IsZero() {
		return other
	}
	return s.Service.String()
}

func listOverrides(cmd *cobra.Command, output string) error {
	return showAnswer(cmd, output, overrideColumns, (*api.Client).Overrides, func(o api.Overrides) []keep.Override { return o.Overrides })
}
