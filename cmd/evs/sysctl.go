package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/ipvs"
)

const sysctlLong = `Show or change the settings that IPVS has under net.ipv4.vs, for the table of this
network namespace, and a few of EVS's own. It is used as sysctl is: without a name
all are shown; NAME=VALUE changes one, and what packets meet changes at once. A name
may be written without net.ipv4.vs. in front.

Of several changes either all are made or, if one is refused, none. Values have the
kernel's ranges. A setting that has no meaning here can only be what it is: what
follows says why.

What is printed can be kept in a file and loaded with -p, also what the kernel's
sysctl prints of the settings of IPVS. Lines of other settings are passed over, and
so are, with a word about it, those of settings that have no meaning here.`

// sysctlAbout explains each setting, from the table.
func sysctlAbout(all []ipvs.Sysctl) string {
	var b strings.Builder
	b.WriteString(sysctlLong)
	for _, s := range all {
		fmt.Fprintf(&b, "\n\n`%s` (%s; default %s; %s): %s.", s.Name, s.Range, strings.ReplaceAll(s.Default, "\t", " "), s.Effect, s.About)
	}
	return b.String()
}

func sysctlVerb() *cobra.Command {
	var write, bare, verbose bool
	var file string
	cmd := &cobra.Command{
		Use:   "sysctl [-v|-n] [-w] [NAME[=VALUE]...] [-p FILE]",
		Short: "show or change the settings of net.ipv4.vs",
		Long:  sysctlAbout(ipvs.SysctlDefaults()),
		Example: `  evs sysctl
  evs sysctl -v
  evs sysctl net.ipv4.vs.conn_reuse_mode
  evs sysctl -w net.ipv4.vs.expire_nodest_conn=1
  evs sysctl -w sync_threshold="3 50" sloppy_tcp=1
  sysctl -a | evs sysctl -p -`,
		ValidArgsFunction: proposeSysctls,
		RunE: func(cmd *cobra.Command, words []string) error {
			values, names, err := sysctlArguments(words, write)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("load") {
				in, name, err := input(cmd, file)
				if err != nil {
					return err
				}
				defer in.Close()
				loaded, wrong := config.ReadSysctls(in)
				if len(wrong) > 0 {
					return refuse(cmd.ErrOrStderr(), name, wrong)
				}
				values = append(dropFixed(cmd.ErrOrStderr(), loaded), values...)
			}
			print := printSysctls
			switch {
			case bare:
				print = printValues
			case verbose:
				print = explainSysctls
			}
			return withTable(cmd.Context(), func(t *ipvs.Table) error {
				if err := t.SetSysctls(values); err != nil {
					return sysctlRemedy(err)
				}
				for _, v := range values {
					names = append(names, v.Name)
				}
				chosen, err := chooseSysctls(t, names, len(words) == 0 && !cmd.Flags().Changed("load"))
				if err != nil {
					return sysctlRemedy(err)
				}
				return print(cmd.OutOrStdout(), chosen)
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&write, "write", "w", false, "every argument is a change, NAME=VALUE")
	flags.BoolVarP(&bare, "values", "n", false, "print the values alone")
	flags.BoolVarP(&verbose, "verbose", "v", false, "print defaults, ranges, and what EVS does about each")
	flags.StringVarP(&file, "load", "p", "", "make the changes written in `FILE`, - for standard input")
	cmd.MarkFlagsMutuallyExclusive("values", "verbose")
	return cmd
}

// sysctlArguments tells changes from names.
func sysctlArguments(words []string, write bool) (values []ipvs.SysctlValue, names []string, err error) {
	for _, word := range words {
		name, value, change := strings.Cut(word, "=")
		switch {
		case change:
			values = append(values, ipvs.SysctlValue{Name: name, Value: value})
		case write:
			return nil, nil, fmt.Errorf("%s: -w wants NAME=VALUE", word)
		default:
			names = append(names, word)
		}
	}
	if write && len(values) == 0 {
		return nil, nil, errors.New("-w wants NAME=VALUE")
	}
	return values, names, nil
}

// dropFixed leaves out the settings that have no meaning here, and says so of
// those whose value is another than here.
func dropFixed(w io.Writer, values []ipvs.SysctlValue) []ipvs.SysctlValue {
	fixed := map[string]ipvs.Sysctl{}
	for _, s := range ipvs.SysctlDefaults() {
		if s.Effect == ipvs.SysctlFixed {
			fixed[ipvs.SysctlPrefix+s.Name] = s
		}
	}
	return slices.DeleteFunc(values, func(v ipvs.SysctlValue) bool {
		s, drop := fixed[v.Name]
		if drop && s.Value != v.Value {
			fmt.Fprintf(w, "%s = %s is passed over: %s\n", v.Name, v.Value, s.About)
		}
		return drop
	})
}

func sysctlRemedy(err error) error {
	if errors.Is(err, ipvs.ErrNoSysctl) {
		return fmt.Errorf("%w: `evs sysctl` lists them", err)
	}
	return err
}

func chooseSysctls(t *ipvs.Table, names []string, all bool) ([]ipvs.Sysctl, error) {
	if all {
		return t.Sysctls()
	}
	var chosen []ipvs.Sysctl
	for _, name := range names {
		s, err := t.Sysctl(name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, s)
	}
	return chosen, nil
}

func printSysctls(w io.Writer, all []ipvs.Sysctl) error {
	for _, s := range all {
		if _, err := fmt.Fprintf(w, "%s%s = %s\n", ipvs.SysctlPrefix, s.Name, s.Value); err != nil {
			return err
		}
	}
	return nil
}

func printValues(w io.Writer, all []ipvs.Sysctl) error {
	for _, s := range all {
		if _, err := fmt.Fprintln(w, s.Value); err != nil {
			return err
		}
	}
	return nil
}

func explainSysctls(w io.Writer, all []ipvs.Sysctl) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "SETTING\tVALUE\tDEFAULT\tRANGE\tEFFECT\tABOUT")
	for _, s := range all {
		words := strings.NewReplacer("\t", " ")
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, words.Replace(s.Value), words.Replace(s.Default), s.Range, s.Effect, s.About)
	}
	return tw.Flush()
}

func proposeSysctls(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var words []cobra.Completion
	for _, s := range ipvs.SysctlDefaults() {
		words = append(words, ipvs.SysctlPrefix+s.Name+"\t"+s.About)
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}
