package api

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/keep"
)

// Bounds of what a client can ask for, and of the time that it has.
const (
	maxBody   = 64 << 10
	maxHeader = 16 << 10
	maxConns  = 64 // of each door
)

// times are what a client has for the header of a request, all of it, and its answer,
// and how long it may be silent between two.
type times struct{ header, read, write, idle time.Duration }

// A reload may wait for another writer of the table.
var usualTimes = times{header: 5 * time.Second, read: 10 * time.Second, write: 2 * time.Minute, idle: time.Minute}

// Server serves the API, once Set has said where.
type Server struct {
	director Director
	store    *keep.Store
	log      *slog.Logger
	openapi  map[string]any
	times    times
	access   atomic.Pointer[access]
	tls      atomic.Pointer[tls.Config]

	mu    sync.Mutex // of what Set and Close change
	doors map[doorKind]*door
	gone  sync.WaitGroup // doors that close
}

// doorKind tells doors apart: there is one of each at most.
type doorKind int

const (
	unixDoor doorKind = iota
	tlsDoor
)

// door is a listener that is served.
type door struct {
	where  string
	server *http.Server
	done   chan struct{}
}

// NewServer makes a server that listens nowhere yet.
func NewServer(d Director, s *keep.Store, log *slog.Logger) *Server {
	server := &Server{director: d, store: s, log: log, openapi: Description(), times: usualTimes, doors: map[doorKind]*door{}}
	server.access.Store(&access{group: -1})
	return server
}

// Set makes the server listen as the file says. It reads certificates anew, also if
// the file is as before. If something fails, all stays as it was.
func (s *Server) Set(cfg config.API) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, certificates, err := prepare(cfg)
	if err != nil {
		return err
	}
	want := map[doorKind]string{unixDoor: cfg.Socket}
	if cfg.Listen.IsValid() {
		want[tlsDoor] = cfg.Listen.String()
	}
	opened, err := s.open(want, next.group)
	if err == nil && opened[unixDoor] == nil {
		err = permit(cfg.Socket, next.group)
	}
	if err != nil {
		for _, l := range opened {
			l.Close()
		}
		return err
	}
	s.access.Store(next)
	s.tls.Store(certificates)
	for kind, was := range s.doors {
		if was.where != want[kind] {
			s.closeDoor(kind)
		}
	}
	for kind, l := range opened {
		s.doors[kind] = s.serve(kind, want[kind], l)
	}
	return nil
}

// open makes the listeners that are wanted and not there yet.
func (s *Server) open(want map[doorKind]string, group int) (map[doorKind]net.Listener, error) {
	opened := map[doorKind]net.Listener{}
	for kind, where := range want {
		if d := s.doors[kind]; d != nil && d.where == where {
			continue
		}
		l, err := listen(kind, where, group)
		if err != nil {
			return opened, err
		}
		opened[kind] = l
	}
	return opened, nil
}

// serve has a listener served. A door of TLS takes for each connection the certificates
// that were read last.
func (s *Server) serve(kind doorKind, where string, l net.Listener) *door {
	l = hall{l, make(chan struct{}, maxConns)}
	d := &door{where: where, done: make(chan struct{}), server: &http.Server{
		ReadHeaderTimeout: s.times.header, ReadTimeout: s.times.read, WriteTimeout: s.times.write, IdleTimeout: s.times.idle,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}}
	switch kind {
	case unixDoor:
		d.server.ConnContext = rememberPeer
		d.server.Handler = s.handler(s.peerRights)
	case tlsDoor:
		l = tls.NewListener(l, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.tls.Load(), nil }})
		foreign := http.NewCrossOriginProtection()
		foreign.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			writeProblem(w, problem(http.StatusForbidden, "a page of another site asked for this"))
		}))
		d.server.Handler = foreign.Handler(s.handler(func(r *http.Request) (string, rights) { return s.access.Load().ofRequest(r) }))
	}
	go func() {
		defer close(d.done)
		if err := d.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the API does not listen any more", "where", where, "error", err)
		}
	}()
	return d
}

// closing is how long requests have to end that are under way when a door closes.
const closing = 2 * time.Second

// closeDoor lets requests under way end; mu is held.
func (s *Server) closeDoor(kind doorKind) {
	d := s.doors[kind]
	delete(s.doors, kind)
	s.gone.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closing)
		defer cancel()
		if d.server.Shutdown(ctx) != nil {
			d.server.Close()
		}
		<-d.done
	})
}

// Close closes all doors, and returns when the last request has ended.
func (s *Server) Close() {
	s.mu.Lock()
	for kind := range s.doors {
		s.closeDoor(kind)
	}
	s.mu.Unlock()
	s.gone.Wait()
}
