package poll

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// log writes down when something was asked, or reported.
type log struct {
	mu    sync.Mutex
	began time.Time
	lines []string
}

func (l *log) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("%v ", time.Since(l.began).Round(time.Second))+fmt.Sprintf(format, args...))
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "; ")
}

// question answers with the n-th of its answers, the last for ever; "" is none.
func question(key string, interval, next time.Duration, answers ...string) Task[string] {
	asked := 0
	return Task[string]{
		Key: key, Identity: answers, Interval: interval, Timeout: time.Second,
		Ask: func(context.Context) (string, time.Duration, error) {
			answer := answers[min(asked, len(answers)-1)]
			if asked++; answer == "" {
				return "", 0, errors.New("none")
			}
			return answer, next, nil
		},
	}
}

// during runs a runner in a bubble and returns what was reported.
func during(t *testing.T, limit int, act func(r *Runner[string])) (text string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &log{began: time.Now()}
		r := New(limit, rand.New(rand.NewPCG(1, 2)), func(got Report[string]) {
			l.add("%s=%s %d<%d", got.Key, got.Value, got.Failures, got.Before)
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { r.Run(ctx); close(ended) }()
		synctest.Wait()
		act(r)
		cancel()
		<-ended
		text = l.text()
	})
	return text
}

func TestQuestionsAreAskedAtTheirTimes(t *testing.T) {
	for _, c := range []struct {
		name    string
		tasks   []Task[string]
		lasting time.Duration
		want    string
	}{
		{"an interval apart", []Task[string]{question("a", 10*time.Second, 0, "x")}, 25 * time.Second, "0s a=x 0<0; 10s a=x 0<0; 20s a=x 0<0"},
		{"when the answer says", []Task[string]{question("a", 10*time.Second, time.Second, "x")}, 1500 * time.Millisecond, "0s a=x 0<0; 1s a=x 0<0"},
		{"one that fails is asked later and later, and says when it is back", []Task[string]{question("a", 5*time.Second, 0, "x", "", "", "", "", "", "y")}, 112 * time.Second,
			"0s a=x 0<0; 5s a= 1<0; 10s a= 2<1; 20s a= 3<2; 40s a= 4<3; 1m10s a= 5<4; 1m40s a=y 0<5; 1m45s a=y 0<0; 1m50s a=y 0<0"},
		{"one that fails and has a long interval keeps it", []Task[string]{question("a", time.Minute, 0, "")}, 130 * time.Second, "0s a= 1<0; 1m0s a= 2<1; 2m0s a= 3<2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := during(t, 8, func(r *Runner[string]) { r.Set(c.tasks); time.Sleep(c.lasting) })
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSetKeepsWhatIsUnchangedAndEndsWhatIsGone(t *testing.T) {
	same := func() Task[string] { return question("same", 10*time.Second, 0, "x") }
	got := during(t, 8, func(r *Runner[string]) {
		r.Set([]Task[string]{same(), question("other", 10*time.Second, 0, "y"), question("gone", 10*time.Second, 0, "z")})
		time.Sleep(5 * time.Second)
		r.Set([]Task[string]{same(), question("other", 10*time.Second, 0, "changed")})
		time.Sleep(6 * time.Second)
	})
	for _, line := range []string{"0s same=x", "0s other=y", "0s gone=z", "5s other=changed", "10s same=x"} {
		if strings.Count("; "+got, "; "+line) != 1 {
			t.Errorf("want %q once in %s", line, got)
		}
	}
	if n := strings.Count(got, ";") + 1; n != 5 {
		t.Errorf("there are %d answers, want 5: %s", n, got)
	}
}

func TestAnAnswerThatTakesTooLongIsNoneAndHoldsUpNoOther(t *testing.T) {
	slow := Task[string]{Key: "slow", Interval: 10 * time.Second, Timeout: 2 * time.Second,
		Ask: func(ctx context.Context) (string, time.Duration, error) {
			<-ctx.Done()
			return "", 0, ctx.Err()
		}}
	got := during(t, 1, func(r *Runner[string]) {
		r.Set([]Task[string]{slow})
		time.Sleep(time.Second)
		r.Set([]Task[string]{slow, question("quick", 10*time.Second, 0, "x")})
		time.Sleep(4 * time.Second)
	})
	if want := "2s slow= 1<0; 2s quick=x 0<0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFirstQuestionsAreSpread(t *testing.T) {
	got := during(t, 100, func(r *Runner[string]) {
		var tasks []Task[string]
		for i := range 100 {
			task := question(fmt.Sprint(i), time.Hour, 0, "x")
			task.Warmup = 10 * time.Second
			tasks = append(tasks, task)
		}
		r.Set(tasks)
		time.Sleep(11 * time.Second)
	})
	lines := strings.Split(got, "; ")
	early := 0
	for _, line := range lines {
		if line < "5s" && !strings.HasPrefix(line, "10s") {
			early++
		}
	}
	if len(lines) != 100 || early < 30 || early > 70 {
		t.Errorf("%d of %d came in the first half, want all of 100, about half of them early", early, len(lines))
	}
}
