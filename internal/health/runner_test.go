package health

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A fake answers after a while, and writes down when it was asked.
type fake struct {
	mu    sync.Mutex
	takes time.Duration
	up    bool
	asked []time.Duration
	began time.Time
}

func (f *fake) Check(ctx context.Context) Result {
	f.mu.Lock()
	f.asked = append(f.asked, time.Since(f.began))
	takes, up := f.takes, f.up
	f.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
	}
	return Result{Up: up, Detail: "fake"}
}

func (f *fake) times() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

func (f *fake) set(up bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.up = up
}

// rig is a runner whose checks are fakes, named by the file that their spec names.
type rig struct {
	*Runner
	fakes   map[string]*fake
	reports chan string
	end     func()
}

// rigged makes a runner and runs it. It is used within a bubble of synctest, where
// time passes at once.
func rigged(limit int, fakes map[string]*fake) *rig {
	r := &rig{fakes: fakes, reports: make(chan string, 10000)}
	for _, f := range fakes {
		f.began = time.Now()
	}
	r.Runner = NewRunner(limit, rand.New(rand.NewPCG(1, 2)), func(key string, was, is State) {
		r.reports <- fmt.Sprint(key, " ", was.Up, " ", is.Up)
	})
	r.build = func(s Spec, _ Target) (Checker, error) {
		if f := fakes[s.File]; f != nil {
			return f, nil
		}
		return nil, errors.New("there is no such fake")
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	r.end = func() { cancel(); <-ended }
	return r
}

func task(name string, change func(*Spec)) Task {
	none := Duration(0)
	s := Spec{Kind: "file", FileSpec: FileSpec{File: name}, Interval: Duration(time.Second), Warmup: &none}
	if change != nil {
		change(&s)
	}
	return Task{Key: name, Spec: s}
}

func seconds(times []time.Duration) string {
	words := make([]string, len(times))
	for i, d := range times {
		words[i] = fmt.Sprint(d.Round(time.Millisecond))
	}
	return strings.Join(words, " ")
}

func TestChecksFollowTheirIntervals(t *testing.T) {
	for _, c := range []struct {
		name  string
		fake  *fake
		spec  func(*Spec)
		after time.Duration
		want  string
	}{
		{"quick ones start an interval apart", &fake{up: true, takes: 100 * time.Millisecond}, nil, 3500 * time.Millisecond, "0s 1s 2s 3s"},
		{"slow ones leave out places of the grid", &fake{up: true, takes: 2200 * time.Millisecond}, nil, 7 * time.Second, "0s 3s 6s"},
		{"a wavering one is asked again soon, until it has fallen", &fake{takes: 100 * time.Millisecond},
			func(s *Spec) { s.RetryInterval = Duration(300 * time.Millisecond) }, 3 * time.Second, "0s 300ms 600ms 1.6s 2.6s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := c.fake
				r := rigged(10, map[string]*fake{"a": f})
				defer r.end()
				if err := r.Set([]Task{task("a", c.spec)}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.after)
				if got := seconds(f.times()); got != c.want {
					t.Error(got)
				}
			})
		})
	}
}

func TestWarmupAndJitterScatterChecksWithinTheirBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fakes := map[string]*fake{}
		var tasks []Task
		for i := range 200 {
			name := fmt.Sprint(i)
			fakes[name] = &fake{up: true}
			tasks = append(tasks, task(name, func(s *Spec) { s.Warmup, s.Jitter = nil, Duration(100*time.Millisecond) }))
		}
		r := rigged(1000, fakes)
		defer r.end()
		if err := r.Set(tasks); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5500 * time.Millisecond)
		tenths := map[time.Duration]int{}
		for _, f := range fakes {
			times := f.times()
			tenths[times[0]/(100*time.Millisecond)]++
			for i := range times[1:] {
				if gap := times[i+1] - times[i]; gap < 890*time.Millisecond || gap > 1110*time.Millisecond {
					t.Fatal(seconds(times))
				}
			}
		}
		for i := range time.Duration(10) {
			if tenths[i] < 5 {
				t.Errorf("%d of 200 begin in tenth %d", tenths[i], i)
			}
		}
		if load := r.Load(); load.Late != 0 || load.Tasks != 200 || load.Started < 1000 {
			t.Errorf("%+v", load)
		}
	})
}

func TestSetKeepsWhatIsThoughtAndEndsWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := &fake{}, &fake{up: true}, &fake{up: true, takes: time.Hour}
		r := rigged(10, map[string]*fake{"a": a, "b": b, "c": c})
		defer r.end()
		if err := r.Set([]Task{task("a", nil), task("b", nil), task("c", nil)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		if st := r.States(); st["a"].Up || !st["b"].Up || st["a"].Count != 3 {
			t.Fatalf("%+v", st)
		}
		slower := task("b", func(s *Spec) { s.Interval = Duration(5 * time.Second) })
		if err := r.Set([]Task{task("a", nil), slower}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if st := r.States(); len(st) != 2 || st["a"].Up || st["a"].Count != 3 || st["b"].Count != 3 || st["b"].Proved {
			t.Errorf("%+v", st)
		}
		if load := r.Load(); load.Active != 0 {
			t.Errorf("the check of what is gone goes on: %+v", load)
		}
		time.Sleep(2 * time.Second)
		if got := seconds(a.times()); got != "0s 1s 2s 3s 4s" {
			t.Errorf("what is unchanged lost its place: %s", got)
		}
		time.Sleep(6 * time.Second)
		if got := seconds(b.times()); got != "0s 1s 2s 3s 8s" {
			t.Errorf("the new interval: %s", got)
		}
		for len(r.reports) > 0 {
			if text := <-r.reports; strings.HasPrefix(text, "c") {
				t.Error("a report of what is gone:", text)
			}
		}
	})
}

func TestAShorterIntervalCountsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{up: true}
		r := rigged(10, map[string]*fake{"a": a})
		defer r.end()
		if err := r.Set([]Task{task("a", func(s *Spec) { s.Interval = Duration(time.Hour) })}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := r.Set([]Task{task("a", nil)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := len(a.times()); n != 2 {
			t.Error(n)
		}
	})
}

func TestSetIsAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{up: true}
		r := rigged(10, map[string]*fake{"a": a})
		defer r.end()
		if err := r.Set([]Task{task("a", nil)}); err != nil {
			t.Fatal(err)
		}
		for says, tasks := range map[string][]Task{
			"b: there is no such fake": {task("b", nil)},
			"a: there are two tasks":   {task("a", nil), task("a", nil)},
		} {
			if err := r.Set(tasks); err == nil || !strings.Contains(err.Error(), says) {
				t.Error(err)
			}
		}
		time.Sleep(1500 * time.Millisecond)
		if st := r.States(); len(st) != 1 || st["a"].Count != 2 {
			t.Errorf("%+v", st)
		}
	})
}

func TestNoMoreRunAtOnceThanTheLimitAndNobodyStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fakes := map[string]*fake{}
		var tasks []Task
		for i := range 20 {
			name := fmt.Sprint(i)
			fakes[name] = &fake{up: true, takes: 2 * time.Second}
			tasks = append(tasks, task(name, nil))
		}
		r := rigged(4, fakes)
		defer r.end()
		if err := r.Set(tasks); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			time.Sleep(300 * time.Millisecond)
			if load := r.Load(); load.Active > 4 {
				t.Fatalf("%+v", load)
			}
		}
		for name, f := range fakes {
			if n := len(f.times()); n < 2 || n > 4 {
				t.Errorf("%s was asked %d times", name, n)
			}
		}
		if load := r.Load(); load.Late == 0 || load.Worst < time.Second {
			t.Errorf("nobody counted it: %+v", load)
		}
	})
}

func TestRunWaitsForTheLastCheckAndReportsNothingOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{takes: time.Hour}
		r := rigged(10, map[string]*fake{"a": a})
		if err := r.Set([]Task{task("a", nil)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.end()
		if len(r.reports) != 0 || r.Load().Active != 0 {
			t.Errorf("%d reports, %+v", len(r.reports), r.Load())
		}
	})
}

func TestEachTurnIsReportedOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{up: true}
		r := rigged(10, map[string]*fake{"a": a})
		if err := r.Set([]Task{task("a", func(s *Spec) { s.Fall, s.Rise = 2, 1 })}); err != nil {
			t.Fatal(err)
		}
		for _, up := range []bool{true, false, true} {
			a.set(up)
			time.Sleep(3 * time.Second)
		}
		r.end()
		var turns []string
		for len(r.reports) > 0 {
			if text := <-r.reports; text == "a true false" || text == "a false true" {
				turns = append(turns, text)
			}
		}
		if got := strings.Join(turns, ", "); got != "a true false, a false true" {
			t.Error(got)
		}
	})
}
