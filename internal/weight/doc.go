// Package weight decides how much each server of a service should get: what
// sources of weights say goes in, integers for the table come out, each with the
// reason why it is what it is. It is pure; clocks are handed in.
//
// # The loop
//
// Weight changes load and load changes weight, so this is a feedback loop, and a
// careless one swings: all clients go to the idle server, which so becomes the
// busy one. Where sources say loads, the Pool is an integral controller towards
// equal load. Let u be a server's smoothed load, and U the mean (geometric, by
// weight) of the servers compared. Each second the weight w changes by
//
//	d(log w) = K · (log(U+ε) - log(u+ε) + log(C/W))
//
// C and W being the sums of configured and present weights of those servers: the
// last term keeps the sum where it was configured, so that a server without a
// source, or one whose source is silent, keeps its place among the others. ε is
// there for the logarithm of a load of 0. In an idle pool, whose loads are noise
// and work of other origin, K is lower, down to 0.
//
// Why it does not oscillate: a server with share w/W of the requests has a load
// that is proportional to w. In logarithms the loop is therefore linear, and its
// gain is at most K whatever the capacities and however busy the pool; a load
// that saturates or has a part of other origin only lowers it. The loop holds an
// integrator, the smoothing with time constant T, the lag of the load itself, as
// connections made under the old weight live on (T at most, if the smoothing is
// chosen no shorter than connections live), and a dead time between two answers
// (T/2 at most, with the smoothing at least twice the interval). Such a loop
//
//	s (1+sT)² e^(sT/2) + K = 0
//
// has only real, falling modes, and so no overshoot, as long as K is at most the
// maximum of x(1-x)²e^(-x/2)/T over x, which is 0.1266/T (at x = 0.30): hence
// K = 1/(8T). See K. J. Åström and R. M. Murray, Feedback Systems, on integral
// control and dead time. A pool that is twice as wrong as it should be is within
// 10 % after some fourteen T.
//
// Where sources say weights or percentages, they have decided already, and the
// weight follows a smoothed value of it. Such a source may still close a loop of
// its own (an agent that reports how idle the server is). Each time that what it
// says turns round, the part of the next answer that is believed halves; answers
// that go on in one direction restore it.
//
// In both cases the weight stays between floor and ceiling, and changes by at
// most maxChange within an interval. These bounds act on the controller's own
// memory, so nothing winds up behind them.
//
// # Integers
//
// With configured weights of 1, 1 and 2 there is no room between 1 and 2. Where a
// service follows sources, all its weights are multiplied by one factor, see
// Scale; as schedulers look at the relation between weights only, nothing else
// changes.
//
// The package never asks a source and never touches the table.
package weight
