// Package model is what EVS does, written once more as plain Go: which server a new
// connection is given, in which state connections are, what is counted, and when they
// are forgotten. It is slow, short, and knows neither maps nor frames. A test throws
// the same random edits, packets and steps of the clock at it and at the data path in
// the kernel, and compares.
package model
