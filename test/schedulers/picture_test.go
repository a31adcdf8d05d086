package schedulers

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/evs-project/evs/internal/sched"
)

var update = flag.Bool("update", false, "draw the pictures of docs/schedulers anew")

const pages = "../../docs/schedulers"

// What a picture shows: so many new connections to four servers of these weights, of
// which the last is taken out for the last third.
const connections = 96

var weights = []string{"1", "2", "3", "4"}

// quiesced tells whether the last server is out when the i-th connection comes.
func quiesced(i int) bool { return i >= connections*2/3 }

// A visit is a connection of the story that all pictures tell: who asks for what,
// and which earlier connection ends before it. Some addresses are asked for more
// than others.
type visit struct{ client, address, ends int }

func story() []visit {
	r := rand.New(rand.NewPCG(7, 11))
	visits := make([]visit, connections)
	var open []int
	for i := range visits {
		visits[i] = visit{client: r.IntN(200) + 200*i, address: r.IntN(1 + r.IntN(12)), ends: -1}
		if len(open) > 12 {
			k := r.IntN(len(open))
			visits[i].ends = open[k]
			open = append(open[:k], open[k+1:]...)
		}
		open = append(open, i)
	}
	return visits
}

// played is who gets each connection from the data path.
func played(t *testing.T, scheduler string) []int {
	s, visits := newScene(t, scheduler, weights...), story()
	given := make([]int, connections)
	for i, v := range visits {
		if quiesced(i) && !quiesced(i-1) {
			s.ipvsadm("-e", "-f", "1", "-r", server(len(weights)), "-g", "-w", "0")
		}
		if v.ends >= 0 && given[v.ends] != nobody {
			s.close(visits[v.ends].client, visits[v.ends].address)
		}
		given[i] = s.open(v.client, v.address)
	}
	return given
}

// drawn is who gets each connection by twos, with dice that always fall alike.
func drawn() []int {
	r := rand.New(rand.NewPCG(3, 5))
	given := make([]int, connections)
	load := make([]int, len(weights))
	for i, v := range story() {
		if v.ends >= 0 {
			load[given[v.ends]-1]--
		}
		first, second := draw(r, i), draw(r, i)
		if load[first]*(second+1) > load[second]*(first+1) {
			first = second
		}
		load[first]++
		given[i] = first + 1
	}
	return given
}

// draw is a server as likely as its weight, which is one more than its place.
func draw(r *rand.Rand, i int) int {
	out := len(weights)
	if quiesced(i) {
		out--
	}
	n := r.IntN(out * (out + 1) / 2)
	for server := range out {
		if n -= server + 1; n < 0 {
			return server
		}
	}
	return out - 1
}

func TestEachSchedulerHasItsPageAndItsPicture(t *testing.T) {
	for _, s := range sched.All {
		t.Run(s.Name, func(t *testing.T) {
			given := drawn
			if s.Name != "twos" {
				given = func() []int { return played(t, s.Name) }
			}
			picture := svg(s.Name, given())
			file := filepath.Join(pages, s.Name+".svg")
			if *update {
				if err := os.WriteFile(file, []byte(picture), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if was, err := os.ReadFile(file); err != nil || string(was) != picture {
				t.Errorf("%s shows something else than the data path does (%v); draw it anew with -update and look at it", file, err)
			}
			page, err := os.ReadFile(filepath.Join(pages, s.Name+".md"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(page), "("+s.Name+".svg)") || !strings.HasPrefix(string(page), "# "+s.Name+": ") {
				t.Errorf("the page of %s does not begin with its name, or does not show its picture", s.Name)
			}
			index, err := os.ReadFile(filepath.Join(pages, "README.md"))
			if err != nil || !strings.Contains(string(index), "("+s.Name+".md)") {
				t.Errorf("the index does not lead to %s (%v)", s.Name, err)
			}
		})
	}
}

// Measures of a picture.
const (
	left, top    = 104, 34
	step, row    = 5, 26
	width        = left + connections*step + 200
	barLeft      = left + connections*step + 14
	barStep      = 2.0 // a connection
	outOfService = "#f0e4d7"
)

var colours = []string{"#999999", "#0072b2", "#e69f00", "#009e73", "#cc79a7"} // nobody, then the servers

// svg draws a dot for each connection in the row of its server, and a bar for how
// many each got.
func svg(name string, given []int) string {
	var b strings.Builder
	rows := len(weights) + 1
	height := top + rows*row + 26
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<title>%s: who gets each of %d connections</title>`+"\n", name, connections)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	from := left + connections*2/3*step
	fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n", from, top, connections/3*step, rows*row, outOfService)
	fmt.Fprintf(&b, `<text x="%d" y="22" font-weight="bold">%s</text>`+"\n", left, name)
	fmt.Fprintf(&b, `<text x="%d" y="22">server 4 out</text><text x="%d" y="22">connections</text>`+"\n", from, barLeft)
	fmt.Fprintf(&b, `<text x="%d" y="%d">new connections, in the order in which they come</text>`+"\n", left, height-8)
	for k := range rows {
		server := k + 1
		label := "refused"
		if k < len(weights) {
			label = fmt.Sprintf("server %d, w %s", server, weights[k])
		} else {
			server = nobody
		}
		drawRow(&b, label, server, top+k*row+row/2, given)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func drawRow(b *strings.Builder, label string, server, y int, given []int) {
	count := 0
	fmt.Fprintf(b, `<text x="8" y="%d">%s</text><line x1="%d" x2="%d" y1="%d" y2="%d" stroke="#dddddd"/>`+"\n", y+4, label, left, left+connections*step, y, y)
	for i, to := range given {
		if to == server {
			count++
			fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="14" fill="%s"/>`+"\n", left+i*step, y-7, step-1, colours[server])
		}
	}
	length := strconv.FormatFloat(float64(count)*barStep, 'f', -1, 64)
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%s" height="14" fill="%s"/><text x="%g" y="%d">%d</text>`+"\n", barLeft, y-7, length, colours[server], barLeft+float64(count)*barStep+4, y+4, count)
}
