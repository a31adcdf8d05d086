package listing

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/ipvs"
)

// Format is how a document is written.
type Format string

// The formats.
const (
	Columns Format = "table"
	Wide    Format = "wide" // columns with counters and options
	JSON    Format = "json"
	YAML    Format = "yaml"
)

// Formats are the names of the formats.
var Formats = []string{string(Columns), string(Wide), string(JSON), string(YAML)}

// ParseFormat returns the format called name.
func ParseFormat(name string) (Format, error) {
	for _, f := range Formats {
		if f == name {
			return Format(f), nil
		}
	}
	return "", fmt.Errorf("output %q: choose one of %s", name, strings.Join(Formats, ", "))
}

func compareKeys(a, b ipvs.ServiceKey) int {
	return cmp.Or(
		cmp.Compare(a.FWMark, b.FWMark), cmp.Compare(a.Family, b.Family),
		cmp.Compare(a.Protocol, b.Protocol), a.Addr.Compare(b.Addr))
}

// Column is one column of a listing of Ts.
type Column[T any] struct {
	Title string
	Wide  bool // only in the wide format
	Cell  func(T) any
}

// row is a destination with its service. A service without any has one row
// with neither.
type row struct {
	Service
	server *Destination
}

// of is a cell that needs a destination.
func of(cell func(Destination) any) func(row) any {
	return func(r row) any {
		if r.server == nil {
			return "-"
		}
		return cell(*r.server)
	}
}

func serviceName(s Service) any { return s.info.ServiceKey }

func serviceOptions(s Service) any {
	return cmp.Or(strings.Join(options.Print(options.Service[1:], s.info.Service), " "), "-")
}

var tableColumns = []Column[row]{
	{"SERVICE", false, func(r row) any { return serviceName(r.Service) }},
	{"SCHEDULER", false, func(r row) any { return r.Scheduler }},
	{"DESTINATION", false, of(func(d Destination) any { return d.info.Addr })},
	{"METHOD", false, of(func(d Destination) any { return d.Method })},
	{"WEIGHT", false, of(func(d Destination) any { return d.Weight })},
	{"ACTIVE", false, of(func(d Destination) any { return d.Connections.Active })},
	{"INACTIVE", false, of(func(d Destination) any { return d.Connections.Inactive })},
	{"PERSISTENT", true, of(func(d Destination) any { return d.Connections.Persistent })},
	{"CONNS", true, of(func(d Destination) any { return d.Stats.Connections })},
	{"IN-PKTS", true, of(func(d Destination) any { return d.Stats.InPackets })},
	{"OUT-PKTS", true, of(func(d Destination) any { return d.Stats.OutPackets })},
	{"IN-BYTES", true, of(func(d Destination) any { return d.Stats.InBytes })},
	{"OUT-BYTES", true, of(func(d Destination) any { return d.Stats.OutBytes })},
	{"CONNS/S", true, of(func(d Destination) any { return d.Rates.Connections })},
	{"IN-PKTS/S", true, of(func(d Destination) any { return d.Rates.InPackets })},
	{"OUT-PKTS/S", true, of(func(d Destination) any { return d.Rates.OutPackets })},
	{"IN-BYTES/S", true, of(func(d Destination) any { return d.Rates.InBytes })},
	{"OUT-BYTES/S", true, of(func(d Destination) any { return d.Rates.OutBytes })},
	{"SERVICE-OPTIONS", true, func(r row) any { return serviceOptions(r.Service) }},
	{"DESTINATION-OPTIONS", true, of(func(d Destination) any {
		return cmp.Or(strings.Join(options.Print(options.Destination[3:], d.info.Destination), " "), "-")
	})},
}

var serviceColumns = []Column[Service]{
	{"SERVICE", false, serviceName},
	{"SCHEDULER", false, func(s Service) any { return s.Scheduler }},
	{"DESTINATIONS", false, func(s Service) any { return len(s.Destinations) }},
	{"CONNS", false, func(s Service) any { return s.Stats.Connections }},
	{"CONNS/S", false, func(s Service) any { return s.Rates.Connections }},
	{"IN-PKTS", true, func(s Service) any { return s.Stats.InPackets }},
	{"OUT-PKTS", true, func(s Service) any { return s.Stats.OutPackets }},
	{"IN-BYTES", true, func(s Service) any { return s.Stats.InBytes }},
	{"OUT-BYTES", true, func(s Service) any { return s.Stats.OutBytes }},
	{"OPTIONS", false, serviceOptions},
}

var connColumns = []Column[Connection]{
	{"PROTOCOL", false, func(c Connection) any { return c.Protocol }},
	{"CLIENT", false, func(c Connection) any { return c.Client }},
	{"VIRTUAL", false, func(c Connection) any { return c.Virtual }},
	{"DESTINATION", false, func(c Connection) any { return c.Destination }},
	{"STATE", false, func(c Connection) any { return c.State }},
	{"EXPIRES", false, func(c Connection) any { return time.Duration(c.Expires) * time.Second }},
	{"METHOD", true, func(c Connection) any { return c.Method }},
	{"TEMPLATE", true, func(c Connection) any { return c.Template }},
}

// WriteTable writes a row for each destination, or the whole document.
func WriteTable(w io.Writer, t Table, f Format) error {
	return write(w, t, f, tableColumns, func(yield func(row, error) bool) {
		for _, s := range t.Services {
			if len(s.Destinations) == 0 && !yield(row{Service: s}, nil) {
				return
			}
			for i := range s.Destinations {
				if !yield(row{s, &s.Destinations[i]}, nil) {
					return
				}
			}
		}
	})
}

// WriteServices writes a row for each service, or the whole document.
func WriteServices(w io.Writer, t Table, f Format) error {
	return WriteRows(w, t, f, serviceColumns, t.Services)
}

// WriteConns writes a row for each connection, or the whole document.
func WriteConns(w io.Writer, conns iter.Seq2[ipvs.Conn, error], f Format) error {
	if f == JSON || f == YAML {
		doc, err := NewConnections(conns)
		if err != nil {
			return err
		}
		return encode(w, doc, f)
	}
	return columns(w, connColumns, f == Wide, func(yield func(Connection, error) bool) {
		for c, err := range conns {
			if !yield(newConnection(c), err) {
				return
			}
		}
	})
}

// WriteRows writes a row for each of a list, or the whole document.
func WriteRows[T any](w io.Writer, doc any, f Format, table []Column[T], list []T) error {
	return write(w, doc, f, table, func(yield func(T, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	})
}

func write[T any](w io.Writer, doc any, f Format, table []Column[T], rows iter.Seq2[T, error]) error {
	if f == JSON || f == YAML {
		return encode(w, doc, f)
	}
	return columns(w, table, f == Wide, rows)
}

func encode(w io.Writer, doc any, f Format) error {
	b := bufio.NewWriter(w)
	if f == YAML {
		if err := yaml.NewEncoder(b, yaml.IndentSequence(true)).Encode(doc); err != nil {
			return fmt.Errorf("write as YAML: %w", err)
		}
		return b.Flush()
	}
	e := json.NewEncoder(b)
	e.SetIndent("", "  ")
	if err := e.Encode(doc); err != nil {
		return fmt.Errorf("write as JSON: %w", err)
	}
	return b.Flush()
}

// columns writes rows below titles.
func columns[T any](w io.Writer, table []Column[T], wide bool, rows iter.Seq2[T, error]) error {
	b := bufio.NewWriter(w)
	tw := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	line := func(cell func(Column[T]) any) {
		var cells []string
		for _, c := range table {
			if wide || !c.Wide {
				cells = append(cells, fmt.Sprint(cell(c)))
			}
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	line(func(c Column[T]) any { return c.Title })
	for r, err := range rows {
		if err != nil {
			return err
		}
		line(func(c Column[T]) any { return c.Cell(r) })
	}
	tw.Flush()
	return b.Flush()
}
