package daemon

import (
	"context"
	"log/slog"
	"sync"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/health"
)

// hooks run programs beside the loop. Those of one subject, a server or a service, run
// one after the other; if more wait, the youngest is run, as it says what is so now.
type hooks struct {
	log *slog.Logger

	mu      sync.Mutex
	waiting map[string]*hook // a subject that is here has a goroutine
	running sync.WaitGroup
}

// A hook is a program to be run about something.
type hook struct {
	config.Hook
	about  string // what happened
	target health.Target
}

// run has a program run for a subject, if there is one.
func (h *hooks) run(ctx context.Context, subject string, next *hook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, busy := h.waiting[subject]
	h.waiting[subject] = next
	if !busy {
		h.running.Go(func() { h.follow(ctx, subject) })
	}
}

func (h *hooks) follow(ctx context.Context, subject string) {
	for {
		h.mu.Lock()
		next := h.waiting[subject]
		h.waiting[subject] = nil
		if next == nil {
			delete(h.waiting, subject)
		}
		h.mu.Unlock()
		if next == nil {
			return
		}
		h.once(ctx, subject, next)
	}
}

// once runs a program as a check of kind exec does, and tells if it fails.
func (h *hooks) once(ctx context.Context, subject string, next *hook) {
	spec := health.Spec{Kind: "exec", Timeout: health.Duration(next.Timeout), Program: health.Program{Command: next.Command, User: next.User}}
	checker, err := spec.New(next.target)
	why := ""
	if err != nil {
		why = err.Error()
	} else if r := checker.Check(ctx); !r.Up {
		why = r.Detail
	}
	if why != "" {
		h.log.Warn("a hook failed", "of", subject, "about", next.about, "program", next.Command[0], "error", why)
		return
	}
	h.log.Info("a hook was run", "of", subject, "about", next.about, "program", next.Command[0])
}

// wait returns when the last program has ended.
func (h *hooks) wait() { h.running.Wait() }

// turned has the hooks run that a turn of a pool asks for.
func (h *hooks) turned(ctx context.Context, p *pool, t turn) {
	up, down, subject := p.QuorumUp, p.QuorumDown, p.Name
	target := health.Target{VIP: p.keys[0].Addr, Weight: p.now.Live}
	if t.server != nil {
		m := t.server
		up, down, subject = m.NotifyUp, m.NotifyDown, p.Name+" "+m.name
		target.Addr, target.Weight = m.Destination.Destination(p.keys[0]).Addr, int(m.Weight)
	}
	program, about := down, "down"
	if t.up {
		program, about = up, "up"
	}
	if program != nil {
		h.run(ctx, subject, &hook{*program, about, target})
	}
}
