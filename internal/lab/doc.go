// Package lab builds clusters of network namespaces on one machine: clients
// behind a router, a director, real servers that really serve. The demo, the
// end-to-end tests and the benchmarks stand on it.
//
//	client1 … clientN ── router ── director ── server1 … serverM
//
// Spec says what a lab is to be and knows every address in it; Up makes a Lab of
// it; Down removes it, and Remove also one that was never finished. Between the
// clients and the servers there is plain routing, nothing else: the virtual
// service is for the user of the lab to create on the director.
//
// The package never touches an interface outside its own namespaces, uses only
// addresses set aside for documentation, and ends only processes that run
// inside a namespace of the lab.
package lab
