package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func wellFormed(t *testing.T, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
	}
}

func TestALineGoesThroughItsPoints(t *testing.T) {
	svg := Chart{Title: "cost <of> a packet", X: "flows", Y: "ns", LogX: true, Series: []Series{
		{Name: "EVS & co", X: []float64{1, 100}, Y: []float64{0, 50}, Low: []float64{0, 40}, High: []float64{1, 50}}}}.SVG()
	wellFormed(t, svg)
	for _, want := range []string{`points="70.0,340.0 710.0,40.0 "`, "EVS &amp; co", "cost &lt;of&gt; a packet", ">100<", ">50<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s in\n%s", want, svg)
		}
	}
}

func TestABarIsAsLongAsItsValue(t *testing.T) {
	svg := Chart{Title: "rates", Y: "Mpps", Names: []string{"one", "two"}, Series: []Series{{Name: "x", Y: []float64{2, 1}}}}.SVG()
	wellFormed(t, svg)
	for _, want := range []string{`width="640.0"`, `width="320.0"`, ">one<", ">two<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s in\n%s", want, svg)
		}
	}
}

func TestAChartOfNothingIsStillAPicture(t *testing.T) {
	wellFormed(t, Chart{Title: "nothing"}.SVG())
	wellFormed(t, Chart{Title: "nothing", Names: []string{"a"}}.SVG())
}

func TestAnAxisHasRoundTicks(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		log    bool
		want   []float64
	}{
		{"from nought", []float64{3, 97}, false, []float64{0, 20, 40, 60, 80, 100}},
		{"by powers of ten", []float64{3, 900}, true, []float64{1, 10, 100, 1000}},
		{"of one power of ten", []float64{10}, true, []float64{10, 100}},
		{"of nothing but nought", []float64{0}, false, []float64{0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := newAxis(tt.values, tt.log).ticks; !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestNumbersAreWrittenShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.25: "0.25", 999: "999", 10_000: "10k", 2_500_000: "2.5M", 3e9: "3G"} {
		if got := Short(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}
