package lab

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestLoadCountsWhoAnswersAndWhyRequestsFail(t *testing.T) {
	var turn atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch turn.Add(1) % 4 {
		case 0:
			http.Error(w, "", http.StatusServiceUnavailable)
		case 1:
			handler("server1").ServeHTTP(w, r)
		default:
			handler("server2").ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	for _, keep := range []bool{false, true} {
		r, err := Load(context.Background(), LoadSpec{URL: server.URL + "/bytes?n=10", Requests: 40, Concurrency: 3, KeepAlive: keep})
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(r.Answers, map[string]int{"server1": 10, "server2": 20}) || !maps.Equal(r.Failures, map[string]int{"503 Service Unavailable": 10}) || r.Bytes != 300 {
			t.Errorf("keep-alive %v: %+v", keep, r)
		}
		if r.P50 <= 0 || r.P50 > r.P90 || r.P90 > r.P99 || r.P99 > r.Max || r.Max > r.Elapsed {
			t.Errorf("quantiles out of order: %+v", r)
		}
	}
}

func TestLoadNamesTheReasonOfAFailedConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	r, err := Load(context.Background(), LoadSpec{URL: "http://" + address, Requests: 2})
	if err != nil || !maps.Equal(r.Failures, map[string]int{"connection refused": 2}) {
		t.Errorf("%+v, %v", r, err)
	}
	// Nobody reads here, so nobody answers.
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	r, err = Load(context.Background(), LoadSpec{URL: "udp://" + silent.LocalAddr().String(), Timeout: 20 * time.Millisecond})
	if err != nil || !maps.Equal(r.Failures, map[string]int{"timeout": 1}) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestLoadRefusesWhatItCannotAsk(t *testing.T) {
	for url, want := range map[string]string{
		"192.0.2.2:80":    "want http://ADDRESS/ or udp://ADDRESS:7",
		"ftp://192.0.2.2": "want http://ADDRESS/ or udp://ADDRESS:7",
		"udp://192.0.2.2": "want the port too, as in udp://192.0.2.2:7",
	} {
		if _, err := Load(context.Background(), LoadSpec{URL: url}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if _, err := Load(ended, LoadSpec{URL: "http://192.0.2.2/"}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func TestQuantilesAreTheSmallestValuesThatSufficientlyManyDoNotExceed(t *testing.T) {
	var values []time.Duration
	for i := range 10 {
		values = append(values, time.Duration(i+1))
	}
	for percent, want := range map[int]time.Duration{1: 1, 50: 5, 90: 9, 99: 10, 100: 10} {
		if got := quantile(values, percent); got != want {
			t.Errorf("%d%%: got %d, want %d", percent, got, want)
		}
	}
	if got := quantile(nil, 50); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}
