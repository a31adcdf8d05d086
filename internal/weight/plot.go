package weight

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"
)

// rowsShown is about how many rows PrintTable prints.
const rowsShown = 24

// PrintTable shows a run: of each server the weight and the load in percent, and
// the reason for the last weight.
func PrintTable(w io.Writer, s Scenario, run []Moment) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprint(tw, "TIME")
	for _, one := range s.Subjects {
		fmt.Fprintf(tw, "\t%s\tLOAD", strings.ToUpper(one.Name))
	}
	fmt.Fprintln(tw)
	step := max(1, (len(run)-1+rowsShown/2)/rowsShown)
	for i, m := range run {
		if i%step != 0 && i != len(run)-1 {
			continue
		}
		fmt.Fprint(tw, m.At.Round(time.Millisecond))
		for k, weight := range m.Weights {
			fmt.Fprintf(tw, "\t%d\t%.0f%%", weight.Table, 100*m.Loads[k])
		}
		fmt.Fprintln(tw)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, weight := range run[len(run)-1].Weights {
		if _, err := fmt.Fprintf(w, "%s: %d: %s\n", weight.Name, weight.Table, weight.Reason.About()); err != nil {
			return err
		}
	}
	return nil
}

// Measures of a plot.
const (
	plotLeft, plotWidth = 56, 620
	plotTop, panel, gap = 34, 160, 44
	legend              = 150
)

var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#999999", "#000000"}

// SVG draws a run: above, the share of new connections that each server's weight
// gives it, below, its load.
func SVG(s Scenario, run []Moment) string {
	var b strings.Builder
	width, height := plotLeft+plotWidth+legend, plotTop+2*panel+gap+40
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>weights that follow the load</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", width, height)
	shares := make([][]float64, len(run))
	loads := make([][]float64, len(run))
	for i, m := range run {
		sum := 0.0
		for _, w := range m.Weights {
			sum += float64(w.Table)
		}
		for _, w := range m.Weights {
			shares[i] = append(shares[i], float64(w.Table)/max(sum, 1))
		}
		loads[i] = m.Loads
	}
	length := run[len(run)-1].At
	drawPanel(&b, s, "share of new connections", plotTop, length, run, shares)
	drawPanel(&b, s, "load", plotTop+panel+gap, length, run, loads)
	for i, one := range s.Subjects {
		y := plotTop + 12 + 18*i
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="12" height="12" fill="%s"/><text x="%d" y="%d">`, plotLeft+plotWidth+14, y, colours[i%len(colours)], plotLeft+plotWidth+32, y+11)
		_ = xml.EscapeText(&b, []byte(one.Name)) // a strings.Builder takes everything
		b.WriteString("</text>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func drawPanel(b *strings.Builder, s Scenario, title string, top int, length time.Duration, run []Moment, values [][]float64) {
	most := 0.0
	for _, row := range values {
		for _, v := range row {
			most = max(most, v)
		}
	}
	most = math.Ceil(most*5+1e-9) / 5
	x := func(at time.Duration) float64 { return plotLeft + plotWidth*at.Seconds()/length.Seconds() }
	y := func(v float64) float64 { return float64(top) + panel*(1-v/most) }
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", plotLeft, top-10, title)
	for _, part := range []float64{0, 0.25, 0.5, 0.75, 1} {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#dddddd"/>`, plotLeft, plotLeft+plotWidth, y(part*most), y(part*most))
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%.0f%%</text>`, plotLeft-6, y(part*most)+4, 100*part*most)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(time.Duration(part*float64(length))), top+panel+16, time.Duration(part*float64(length)).Round(time.Second))
	}
	for _, one := range s.Subjects {
		for _, c := range one.Changes {
			fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#555555" stroke-dasharray="3 3"/>`+"\n", x(c.At), x(c.At), top, top+panel)
		}
	}
	for k := range s.Subjects {
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, colours[k%len(colours)])
		for i, m := range run {
			fmt.Fprintf(b, "%.1f,%.1f ", x(m.At), y(values[i][k]))
		}
		b.WriteString("\"/>\n")
	}
}
