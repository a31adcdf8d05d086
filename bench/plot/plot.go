// Package plot draws charts as SVG: lines over a number, or bars by name. It is pure
// and knows nothing of what is drawn.
package plot

import (
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Chart is a picture: of lines where its series have an X, else of bars.
type Chart struct {
	Title  string   `json:"title"`
	X      string   `json:"x,omitempty"` // what the axes say
	Y      string   `json:"y"`
	LogX   bool     `json:"log_x,omitempty"`
	LogY   bool     `json:"log_y,omitempty"`
	Names  []string `json:"names,omitempty"` // of the bars
	Series []Series `json:"series"`
}

// Series is a line or the bars of one colour: Y by X, or by the chart's names. Low and
// High, where they are given, are how far it spread.
type Series struct {
	Name string    `json:"name"`
	X    []float64 `json:"x,omitempty"`
	Y    []float64 `json:"y"`
	Low  []float64 `json:"low,omitempty"`
	High []float64 `json:"high,omitempty"`
}

// Measures of a chart, in pixels.
const (
	left, right, top, bottom = 70, 20, 40, 52
	width, height            = 640, 300 // of the field
	barHeight, barsLeft      = 18, 190
)

var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#999999", "#000000"}

func colour(i int) string { return colours[i%len(colours)] }

// dash tells lines of the same colour apart.
func dash(i int) string { return []string{"none", "6 3", "2 2"}[i/len(colours)%3] }

// SVG draws the chart.
func (c Chart) SVG() string {
	if len(c.Names) > 0 {
		return c.bars()
	}
	return c.lines()
}

// canvas is an SVG under way.
type canvas struct{ strings.Builder }

func newCanvas(w, h int, title string) *canvas {
	c := &canvas{}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", w, h, w, h)
	fmt.Fprintf(c, "<title>%s</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", escape(title), w, h)
	c.text(left, 20, "start", "bold", title)
	return c
}

func (c *canvas) text(x, y float64, anchor, weight, s string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" text-anchor="%s" font-weight="%s">%s</text>`+"\n", x, y, anchor, weight, escape(s))
}

func (c *canvas) line(x1, y1, x2, y2 float64, stroke string) {
	fmt.Fprintf(c, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, stroke)
}

func (c *canvas) box(x, y, w, h float64, fill string) {
	fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y, w, h, fill)
}

func (c *canvas) end() string {
	c.WriteString("</svg>\n")
	return c.String()
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
	return b.String()
}

// axis places values between 0 and 1.
type axis struct {
	low, high float64
	log       bool
	ticks     []float64
}

func newAxis(values []float64, log bool) axis {
	low, high := slices.Min(values), slices.Max(values)
	if log {
		return logAxis(low, high)
	}
	a := axis{low: min(0, low)}
	step := niceStep((high - a.low) / 5)
	a.high = max(a.low+step, a.low+step*math.Ceil((high-a.low)/step-1e-9))
	for v := a.low; v <= a.high+step/2; v += step {
		a.ticks = append(a.ticks, v)
	}
	return a
}

// logAxis goes from one power of ten to another.
func logAxis(low, high float64) axis {
	a := axis{log: true, low: math.Floor(math.Log10(max(low, 1e-9))), high: math.Ceil(math.Log10(max(high, 1e-9)))}
	if a.high == a.low {
		a.high++
	}
	for e := a.low; e <= a.high; e++ {
		a.ticks = append(a.ticks, math.Pow(10, e))
	}
	return a
}

func (a axis) at(v float64) float64 {
	if a.log {
		v = math.Log10(max(v, 1e-9))
	}
	return (v - a.low) / (a.high - a.low)
}

// niceStep is 1, 2 or 5 times a power of ten, at least s.
func niceStep(s float64) float64 {
	if s <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(s)))
	for _, m := range []float64{1, 2, 5} {
		if m*unit >= s-1e-12 {
			return m * unit
		}
	}
	return 10 * unit
}

// Short writes a number as an axis does: 10k, 2.5M.
func Short(v float64) string {
	for _, u := range []struct {
		by   float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= u.by {
			return strconv.FormatFloat(v/u.by, 'g', 3, 64) + u.name
		}
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func (c Chart) lines() string {
	var xs, ys []float64
	for _, s := range c.Series {
		xs = append(xs, s.X...)
		ys = slices.Concat(ys, s.Y, s.High, s.Low)
	}
	h := top + height + bottom + 18*len(c.Series)
	out := newCanvas(left+width+right, h, c.Title)
	if len(xs) == 0 {
		return out.end()
	}
	x, y := newAxis(xs, c.LogX), newAxis(ys, c.LogY)
	px := func(v float64) float64 { return left + width*x.at(v) }
	py := func(v float64) float64 { return top + height*(1-y.at(v)) }
	for _, t := range y.ticks {
		out.line(left, py(t), left+width, py(t), "#dddddd")
		out.text(left-6, py(t)+4, "end", "normal", Short(t))
	}
	for _, t := range x.ticks {
		out.line(px(t), top+height, px(t), top+height+4, "#555555")
		out.text(px(t), top+height+18, "middle", "normal", Short(t))
	}
	out.text(left+width/2, top+height+36, "middle", "normal", c.X)
	out.text(left, top-6, "start", "normal", c.Y)
	for i, s := range c.Series {
		for k := range s.Low {
			out.line(px(s.X[k]), py(s.Low[k]), px(s.X[k]), py(s.High[k]), colour(i))
		}
		fmt.Fprintf(out, `<polyline fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s" points="`, colour(i), dash(i))
		for k := range s.Y {
			fmt.Fprintf(out, "%.1f,%.1f ", px(s.X[k]), py(s.Y[k]))
		}
		out.WriteString("\"/>\n")
		at := float64(top + height + bottom + 18*i)
		fmt.Fprintf(out, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="%s" stroke-width="4" stroke-dasharray="%s"/>`+"\n", left, at+7, left+24, at+7, colour(i), dash(i))
		out.text(left+32, at+11, "start", "normal", s.Name)
	}
	return out.end()
}

// bars lie, so that their names can be read; each name has one of each series.
func (c Chart) bars() string {
	var ys []float64
	for _, s := range c.Series {
		ys = slices.Concat(ys, s.Y, s.High)
	}
	group := barHeight*len(c.Series) + 8
	deep := group * len(c.Names)
	out := newCanvas(barsLeft+width+right+40, top+deep+bottom, c.Title)
	if len(ys) == 0 {
		return out.end()
	}
	y := newAxis(append(ys, 0), false)
	px := func(v float64) float64 { return barsLeft + width*y.at(v) }
	for _, t := range y.ticks {
		out.line(px(t), top, px(t), float64(top+deep), "#dddddd")
		out.text(px(t), float64(top+deep+16), "middle", "normal", Short(t))
	}
	out.text(barsLeft+width/2, float64(top+deep+34), "middle", "normal", c.Y)
	for n, name := range c.Names {
		out.text(barsLeft-8, float64(top+group*n+group/2+4), "end", "normal", name)
		for i, s := range c.Series {
			at := float64(top + group*n + barHeight*i + 4)
			out.box(barsLeft, at, px(s.Y[n])-barsLeft, barHeight-3, colour(i))
			if n < len(s.Low) {
				out.line(px(s.Low[n]), at+7, px(s.High[n]), at+7, "#000000")
			}
			out.text(px(max(s.Y[n], high(s, n)))+6, at+12, "start", "normal", Short(s.Y[n]))
		}
	}
	return out.end()
}

func high(s Series, n int) float64 {
	if n < len(s.High) {
		return s.High[n]
	}
	return s.Y[n]
}
