// Package api is the door to a running director: HTTP with JSON documents over a Unix
// socket, and over TLS for those who have a certificate. One table of routes serves
// them, describes them (OpenAPI 3.1), and has the client that the verbs of evs use.
// It keeps no state and touches no table: it asks a Director, and writes drains and
// overrides into a keep.Store.
package api

import (
	"context"

	"github.com/evs-project/evs/internal/listing"
)

// Director is who answers for the API. Its methods may be called at any time and by
// several goroutines at once; what they return is the caller's. A list that is empty
// may be nil.
//
// What operators say does not come this way: the server writes it into the keep.Store,
// and whoever watches that (Store.Changed, Store.Said) acts on it.
type Director interface {
	// Status is how the director itself fares.
	Status() Status
	// Services are those of its file, in their order, with their destinations, those
	// that were discovered behind those that are written.
	Services() []Service
	// Reload reads the file anew and acts on it, as on SIGHUP. If anything is wrong,
	// the error says all of it (document.Problems, ipvs.SpecErrors are shown one by
	// one), and nothing has changed.
	Reload(context.Context) error
	// Plan is what would change if Reload was called now: of the table, with the weights
	// that the director has for those servers that stay. Errors are as Reload's.
	Plan(context.Context) (listing.Plan, error)
}
