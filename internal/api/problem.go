package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/internal/keep"
	"github.com/evs-project/evs/ipvs"
)

// Problem is an answer that says what went wrong (RFC 9457). As an error of the client
// it reads as its detail.
type Problem struct {
	Type   string         `json:"type" about:"about:blank: the title is that of the status"`
	Title  string         `json:"title" about:"the status in words"`
	Status int            `json:"status" about:"the status of HTTP"`
	Detail string         `json:"detail" about:"what is wrong, and the remedy"`
	Errors []ProblemError `json:"errors,omitempty" about:"if several things are wrong, each of them"`
}

// ProblemError is one of several things that are wrong.
type ProblemError struct {
	Place  string `json:"place,omitempty" about:"where: file, line and column, or the service and the server"`
	Detail string `json:"detail" about:"what is wrong, and the remedy"`
}

// Error is the detail; several things stand on a line each.
func (p *Problem) Error() string {
	if len(p.Errors) == 0 {
		return p.Detail
	}
	lines := []string{p.Detail}
	for _, e := range p.Errors {
		if e.Place != "" {
			e.Detail = e.Place + ": " + e.Detail
		}
		lines = append(lines, e.Detail)
	}
	return strings.Join(lines, "\n")
}

const problemType = "application/problem+json"

// problem is an error with the status that it is told with.
func problem(status int, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// statuses are those of errors that say what the client can do about them; others
// are the director's own.
var statuses = []struct {
	err    error
	status int
}{
	{keep.ErrNone, http.StatusNotFound},
	{keep.ErrFromFile, http.StatusConflict},
	{ipvs.ErrNoService, http.StatusNotFound},
	{ipvs.ErrNoDestination, http.StatusNotFound},
	{ipvs.ErrBusy, http.StatusServiceUnavailable},
	{ipvs.ErrPermission, http.StatusForbidden},
}

// problemOf is what an error is told as.
func problemOf(err error) *Problem {
	var said *Problem
	if errors.As(err, &said) {
		return said
	}
	var wrong document.Problems
	if errors.As(err, &wrong) {
		p := problem(http.StatusUnprocessableEntity, "the file is wrong: nothing has changed")
		for _, one := range wrong {
			detail := one.Reason
			if one.Key != "" {
				detail = one.Key + ": " + detail
			}
			p.Errors = append(p.Errors, ProblemError{one.String(), detail})
		}
		return p
	}
	if refused := ipvs.SpecErrors(err); len(refused) > 0 {
		p := problem(http.StatusUnprocessableEntity, "the table refuses what the file wants: nothing has changed")
		for _, one := range refused {
			p.Errors = append(p.Errors, ProblemError{one.Service.String(), one.Error()})
		}
		return p
	}
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			return problem(s.status, err.Error())
		}
	}
	return problem(http.StatusInternalServerError, err.Error())
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // who asked may be gone
}
