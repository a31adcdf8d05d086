package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
)

// peerKey is where the context of a connection has its peer.
type peerKey struct{}

func rememberPeer(ctx context.Context, c net.Conn) context.Context {
	p, err := peerOf(c)
	if err != nil {
		return ctx // nobody, then
	}
	return context.WithValue(ctx, peerKey{}, p)
}

func (s *Server) peerRights(r *http.Request) (string, rights) {
	p, ok := r.Context().Value(peerKey{}).(peer)
	if !ok {
		return "nobody", nothing
	}
	return p.String(), s.access.Load().ofPeer(p)
}

// handler serves the routes to those that have the right.
func (s *Server) handler(who func(*http.Request) (string, rights)) http.Handler {
	mux := http.NewServeMux()
	for _, rt := range routes {
		mux.HandleFunc(rt.method+" "+Version+rt.path, func(w http.ResponseWriter, r *http.Request) { s.answer(rt, w, r, who) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if h, pattern := mux.Handler(r); pattern == "" {
			no := &refusal{header: w.Header()}
			h.ServeHTTP(no, r)
			writeProblem(w, problem(no.status, fmt.Sprintf("%s %s: GET %s/openapi.json says what there is", r.Method, r.URL.Path, Version)))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// refusal takes from an answer in plain text what matters.
type refusal struct {
	header http.Header
	status int
}

func (r *refusal) Header() http.Header         { return r.header }
func (r *refusal) WriteHeader(status int)      { r.status = status }
func (r *refusal) Write(b []byte) (int, error) { return len(b), nil }

// answer asks the director, if that is allowed.
func (s *Server) answer(rt route, w http.ResponseWriter, r *http.Request, who func(*http.Request) (string, rights)) {
	name, may := who(r)
	if err := allow(rt, name, may); err != nil {
		s.log.Warn("the API refused a request", "who", name, "operation", rt.name)
		writeProblem(w, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	result, err := rt.serve(s, r)
	if err != nil {
		p := problemOf(err)
		s.log.Info("the API answered with a problem", "who", name, "operation", rt.name, "status", p.Status, "error", err)
		writeProblem(w, p)
		return
	}
	if rt.writes {
		s.log.Info("the API carried out a request", "who", name, "operation", rt.name, "path", r.URL.Path)
	}
	if result == nil {
		w.WriteHeader(rt.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(rt.status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(result) // who asked may be gone
}

// allow says why a request is refused, nil if it is not.
func allow(rt route, who string, may rights) *Problem {
	switch {
	case may == nothing:
		return problem(http.StatusForbidden, who+": may not read: a user of the group that api.group of the director's file names, or root, may; or a certificate of api.tls.clientCA")
	case rt.writes && may < writing:
		return problem(http.StatusForbidden, who+": may read, but change nothing: root may; or a certificate that api.tls.writers names")
	}
	return nil
}

// checked is a request that knows what may be wrong with it.
type checked interface{ Check() error }

// read reads the document of a request.
func read[T checked](r *http.Request, in *T) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return problem(http.StatusUnsupportedMediaType, "send a JSON document, with Content-Type: application/json")
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(in)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more behind it")
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return problem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the document is too large: send %d bytes at most", large.Limit))
	}
	if err != nil {
		return problem(http.StatusBadRequest, fmt.Sprintf("the document cannot be read: %v", err))
	}
	if err := (*in).Check(); err != nil {
		p := problem(http.StatusUnprocessableEntity, "the request is wrong: nothing has changed")
		for _, one := range split(err) {
			p.Errors = append(p.Errors, ProblemError{Detail: one.Error()})
		}
		return p
	}
	return nil
}

// split takes joined errors apart.
func split(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, split(one)...)
	}
	return all
}
