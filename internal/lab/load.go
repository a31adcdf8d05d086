package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// LoadSpec is a number of requests to one address.
type LoadSpec struct {
	// URL is http://ADDRESS[:PORT]/PATH, or udp://ADDRESS:PORT for the echo
	// service.
	URL string
	// Requests in all, from Concurrency workers; 1 and 1 if zero.
	Requests, Concurrency int
	// KeepAlive keeps a worker on one connection; otherwise every request
	// has its own. UDP: whether a worker keeps its source port.
	KeepAlive bool
	// Timeout is that of one request, 5 s if zero.
	Timeout time.Duration
	// Dial connects, from the calling namespace if nil; see Lab.Dial.
	Dial DialFunc
}

// LoadResult says who answered, and how fast.
type LoadResult struct {
	// Answers are the answers by server, Failures the failed requests by
	// reason.
	Answers, Failures map[string]int
	// Bytes are those of all bodies.
	Bytes   int64
	Elapsed time.Duration
	// The quantiles of the time an answer took.
	P50, P90, P99, Max time.Duration
}

// Answered is the number of requests that were answered.
func (r LoadResult) Answered() int { return sum(r.Answers) }

// Failed is the number of requests that were not.
func (r LoadResult) Failed() int { return sum(r.Failures) }

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// Load sends the requests and waits for all of them. A failed request counts; it
// is no error of Load, which fails only if the spec makes no sense or ctx ends.
func Load(ctx context.Context, spec LoadSpec) (LoadResult, error) {
	if spec.Timeout == 0 {
		spec.Timeout = 5 * time.Second
	}
	if spec.Dial == nil {
		spec.Dial = (&net.Dialer{}).DialContext
	}
	spec.Requests, spec.Concurrency = max(spec.Requests, 1), max(spec.Concurrency, 1)
	target, err := url.Parse(spec.URL)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "udp" {
		return LoadResult{}, fmt.Errorf("url %q: want http://ADDRESS/ or udp://ADDRESS:%d", spec.URL, EchoPort)
	}
	if target.Scheme == "udp" && target.Port() == "" {
		return LoadResult{}, fmt.Errorf("url %q: want the port too, as in udp://%s:%d", spec.URL, target.Host, EchoPort)
	}
	var left atomic.Int64
	left.Store(int64(spec.Requests))
	tallies := make([]tally, min(spec.Concurrency, spec.Requests))
	begin := time.Now()
	var workers sync.WaitGroup
	for i := range tallies {
		workers.Go(func() {
			requester := newRequester(spec, target)
			defer requester.close()
			for ctx.Err() == nil && left.Add(-1) >= 0 {
				tallies[i].count(ctx, spec.Timeout, requester)
			}
		})
	}
	workers.Wait()
	result := merge(tallies)
	result.Elapsed = time.Since(begin)
	return result, ctx.Err()
}

// requester makes one request after another; each worker has its own.
type requester interface {
	request(ctx context.Context) (server string, bytes int64, err error)
	close()
}

func newRequester(spec LoadSpec, target *url.URL) requester {
	if target.Scheme == "udp" {
		return &udpRequester{spec: spec, address: target.Host}
	}
	transport := &http.Transport{DialContext: spec.Dial, DisableKeepAlives: !spec.KeepAlive, DisableCompression: true}
	return &httpRequester{url: target.String(), client: &http.Client{Transport: transport}}
}

type httpRequester struct {
	url    string
	client *http.Client
}

func (r *httpRequester) request(ctx context.Context) (string, int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return "", 0, err
	}
	reply, err := r.client.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer reply.Body.Close()
	n, err := io.Copy(io.Discard, reply.Body)
	if err == nil && reply.StatusCode != http.StatusOK {
		err = errors.New(reply.Status)
	}
	return reply.Header.Get(serverHeader), n, err
}

func (r *httpRequester) close() { r.client.CloseIdleConnections() }

// tally is what one worker saw.
type tally struct {
	answers, failures map[string]int
	bytes             int64
	latencies         []time.Duration
}

func (t *tally) count(ctx context.Context, timeout time.Duration, r requester) {
	if t.answers == nil {
		t.answers, t.failures = map[string]int{}, map[string]int{}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	begin := time.Now()
	server, n, err := r.request(ctx)
	if err != nil {
		t.failures[reason(err)]++
		return
	}
	if server == "" {
		server = "(no name)"
	}
	t.latencies = append(t.latencies, time.Since(begin))
	t.answers[server]++
	t.bytes += n
}

// reason is an error without what differs from request to request.
func reason(err error) string {
	var errno syscall.Errno
	var timeout net.Error
	switch {
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed before the answer was complete"
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return err.Error()
}

func merge(tallies []tally) LoadResult {
	r := LoadResult{Answers: map[string]int{}, Failures: map[string]int{}}
	var latencies []time.Duration
	for _, t := range tallies {
		for server, n := range t.answers {
			r.Answers[server] += n
		}
		for why, n := range t.failures {
			r.Failures[why] += n
		}
		r.Bytes += t.bytes
		latencies = append(latencies, t.latencies...)
	}
	slices.Sort(latencies)
	r.P50, r.P90, r.P99, r.Max = quantile(latencies, 50), quantile(latencies, 90), quantile(latencies, 99), quantile(latencies, 100)
	return r
}

// quantile is the smallest of the sorted values that percent of them do not
// exceed.
func quantile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max((len(sorted)*percent+99)/100, 1)-1]
}
