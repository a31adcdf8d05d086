package main

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/evs-project/evs/internal/manual"
)

// manualVerb writes the manual pages. It is hidden, being for whoever builds a
// package.
func manualVerb() *cobra.Command {
	stamp := manual.Stamp{Version: version}
	cmd := &cobra.Command{
		Use:    "gen-manual DIR",
		Short:  "write the manual pages into a directory",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, page := range slices.Concat(manual.Ipvsadm(), manual.Commands(cmd.Root())) {
				if err := os.WriteFile(filepath.Join(args[0], page.File()), []byte(page.Roff(stamp)), 0o644); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&stamp.Date, "date", "", "date at the foot of the pages")
	return cmd
}
