// Package routes moves the ways of packets while they flow: next hops, gateways,
// neighbours, interfaces. It looks at where packets went and whether any was lost.
package routes
