// Package e2e proves on real namespaces, sockets and servers that a director
// does what it promises: with traffic, with nobody at home, with writers that
// are killed, and in bad surroundings. It holds tests only, runs the programs as
// a person would, and leaves alone every namespace and table it did not make.
package e2e
