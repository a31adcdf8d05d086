// Package matrix sends real traffic every way to a server: each forwarding
// method, address family, transport protocol and door, over links of an ordinary
// MTU, with and without loss. It does not look into packets; test/packet does.
package matrix
