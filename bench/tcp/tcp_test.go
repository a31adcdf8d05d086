package tcp

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/bench/room"
)

func TestMain(m *testing.M) {
	if Serve() {
		return
	}
	if code, done := room.Enter(); done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func TestConnectionsAreMadeAtThePaceAndAllAreAnswered(t *testing.T) {
	field := contenders()
	r := &racer{contender: field[slices.IndexFunc(field, func(c contender) bool { return c.name == nftablesName })], stop: func() error { return nil }, half: 500}
	defer func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := r.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	var l Latency
	err := r.path.Client.Do(func() (err error) {
		l, err = pace(service.VIP, 500, 200*time.Millisecond)
		return err
	})
	if err != nil || l.Made != 100 || l.Failed != 0 || l.P50 <= 0 || l.P999 < l.P50 {
		t.Errorf("%+v, %v; want 100 made", l, err)
	}
}

func TestWhatWrkSaysIsTakenOnlyWhenAllWasServed(t *testing.T) {
	const good = "  12 requests in 1.00s, 1KB read\nRequests/sec:  21390.25\nTransfer/sec: 1MB\n"
	if rate, err := read(good); err != nil || rate != 21390.25 {
		t.Errorf("got %v, %v", rate, err)
	}
	for name, said := range map[string]string{
		"no rate":       "unable to connect",
		"errors":        "  Socket errors: connect 0, read 3, write 0, timeout 0\n" + good,
		"other answers": "  Non-2xx or 3xx responses: 5\n" + good,
	} {
		if rate, err := read(said); err == nil {
			t.Errorf("%s: %v and no error", name, rate)
		}
	}
}

func TestAQuantileIsAPlaceInTheOrder(t *testing.T) {
	var all []time.Duration
	for i := range 1000 {
		all = append(all, time.Duration(i+1))
	}
	for q, want := range map[float64]time.Duration{0.5: 501, 0.99: 991, 0.999: 1000, 1: 1000} {
		if got := quantile(all, q); got != want {
			t.Errorf("%g: got %d, want %d", q, got, want)
		}
	}
	if quantile(nil, 0.5) != 0 {
		t.Error("of none: not nought")
	}
}

func TestHalfLoadIsHalfOfNftablesOrOfOnesOwn(t *testing.T) {
	racers := []*racer{
		{contender: contender{name: evsNAT}, rates: []float64{22_000}},
		{contender: contender{name: nftablesName}, rates: []float64{20_000}},
		{contender: contender{name: haproxyName}, rates: []float64{8_000}},
	}
	halve(racers)
	for i, want := range []float64{10_000, 10_000, 4_000} {
		if racers[i].half != want {
			t.Errorf("%s: got %g, want %g", racers[i].name, racers[i].half, want)
		}
	}
}

func TestTheBarIsHeldRoundByRound(t *testing.T) {
	rows := []Row{{Name: evsNAT, p99s: []float64{9, 11, 9}}, {Name: nftablesName, p99s: []float64{10, 10, 10}}}
	f := Figures(rows)
	if last := f[len(f)-1]; last.Value != (report.Spread{Median: 0.9, Min: 0.9, Max: 1.1, Rounds: 3}) || !last.Passed() {
		t.Errorf("%+v", last)
	}
}
