package lab

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// lossTable is the table of the routers that loses packets. A rule of the packet
// filter does it, as not every kernel has netem.
const lossTable = "inet lab-loss"

// Lose has the routers lose so many of a hundred packets from now on, either way,
// chosen at random. It needs nft.
func (l *Lab) Lose(ctx context.Context, percent float64) error {
	if err := (Spec{Loss: percent}).validLoss(); err != nil {
		return err
	}
	var said bytes.Buffer
	for _, router := range l.routers() {
		std := Streams{In: strings.NewReader(lossRules(percent)), Out: &said, Err: &said}
		if err := l.Attach(ctx, router, std, "nft", "-f", "-"); err != nil {
			return fmt.Errorf("lose %g %% of the packets: %w: %s", percent, err, said.String())
		}
	}
	return nil
}

// lossRules replaces the table, which need not be there, by one that loses. The
// dice have a million faces.
func lossRules(percent float64) string {
	rules := fmt.Sprintf("table %s\ndelete table %s\n", lossTable, lossTable)
	if percent > 0 {
		rules += fmt.Sprintf("table %s { chain forward { type filter hook forward priority 0; numgen random mod 1000000 < %.0f drop; }; }\n",
			lossTable, percent*10_000)
	}
	return rules
}
