// Package connections ends connections of real sockets, and opens them anew: what their
// ends notice, in laboratories of every method, by every door.
package connections
