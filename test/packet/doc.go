// Package packet tests the data path with packets: recorded frames through
// virtual cables, and single packets and many at once through the programs
// themselves.
package packet
