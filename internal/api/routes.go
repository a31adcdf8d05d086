package api

import (
	"net/http"

	"github.com/evs-project/evs/internal/keep"
	"github.com/evs-project/evs/internal/listing"
)

// Version is what the paths begin with.
const Version = "/v1"

// route is one thing that can be asked: what serves it, describes it, and calls it.
type route struct {
	method, path string
	// name is the operation's, by which the client calls it.
	name, about string
	// writes needs more rights than reading.
	writes bool
	// takes and gives are values of the documents' types, nil for none.
	takes, gives any
	status       int
	serve        func(*Server, *http.Request) (any, error)
}

// routes are all there are. One part of a path may stand in braces: an ID.
var routes = []route{
	{"GET", "/openapi.json", "describe", "this description", false, nil, map[string]any{}, http.StatusOK, (*Server).describe},
	{"GET", "/status", "status", "how the director itself fares", false, nil, Status{}, http.StatusOK, (*Server).status},
	{"GET", "/services", "services", "services and destinations: state, check results, weights, drains, counts", false, nil, Services{}, http.StatusOK, (*Server).services},
	{"GET", "/weights", "weights", "of each destination the weight, configured and now, and why", false, nil, Weights{}, http.StatusOK, (*Server).weights},
	{"GET", "/drains", "drains", "the drains there are", false, nil, Drains{}, http.StatusOK, (*Server).drains},
	{"POST", "/drains", "drain", "drain servers: weight 0 until the drain is ended by hand; one of the same servers begins anew", true, DrainRequest{}, keep.Drain{}, http.StatusCreated, (*Server).drain},
	{"GET", "/drains/{id}", "getDrain", "one drain and its progress", false, nil, keep.Drain{}, http.StatusOK, (*Server).getDrain},
	{"DELETE", "/drains/{id}", "undrain", "end a drain: its servers get their weights back", true, nil, nil, http.StatusNoContent, (*Server).undrain},
	{"GET", "/overrides", "overrides", "the overrides that hold", false, nil, Overrides{}, http.StatusOK, (*Server).overrides},
	{"POST", "/overrides", "override", "set a weight or a state by hand; it takes the place of an override of the same servers", true, OverrideRequest{}, keep.Override{}, http.StatusCreated, (*Server).override},
	{"DELETE", "/overrides/{id}", "unoverride", "end an override", true, nil, nil, http.StatusNoContent, (*Server).unoverride},
	{"POST", "/reload", "reload", "read the file anew and act on it; if anything is wrong with it, nothing changes", true, nil, Reload{}, http.StatusOK, (*Server).reload},
	{"GET", "/plan", "plan", "what a reload would change", false, nil, listing.Plan{}, http.StatusOK, (*Server).plan},
}

// routeOf is the route of an operation.
func routeOf(name string) route {
	for _, r := range routes {
		if r.name == name {
			return r
		}
	}
	panic("api: no operation is called " + name) // a slip in the code
}
