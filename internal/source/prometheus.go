package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/evs-project/evs/internal/weight"
)

// newPrometheus asks a Prometheus server what a query gives now.
func newPrometheus(a asking) (asker, error) {
	server, err := a.address()
	if err != nil {
		return nil, err
	}
	at := server.JoinPath("api/v1/query")
	at.RawQuery = url.Values{"query": {a.named(a.Query)}, "timeout": {a.Timeout.String()}}.Encode()
	return func(ctx context.Context) (weight.Reading, error) {
		d, err := a.client.Get(ctx, at.String(), "")
		if err != nil {
			return weight.Reading{}, err
		}
		value, err := queried(d.Body)
		if err != nil {
			return weight.Reading{}, err
		}
		return weight.NumberOf(a.WeightSource, value, time.Now())
	}, nil
}

// A sample is a time, and a number as text.
type sample [2]any

func (s sample) value() (float64, error) {
	text, ok := s[1].(string)
	if !ok {
		return 0, errors.New("the answer has no value")
	}
	return number(text)
}

// queried is the one number in an answer.
func queried(text []byte) (float64, error) {
	var answer struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return 0, fmt.Errorf("the answer is none of Prometheus: %w", err)
	}
	if answer.Status != "success" {
		return 0, fmt.Errorf("the answer is %s: %s", weight.Printable(clip(answer.Status)), weight.Printable(answer.Error))
	}
	switch answer.Data.ResultType {
	case "scalar":
		var s sample
		if err := json.Unmarshal(answer.Data.Result, &s); err != nil {
			return 0, fmt.Errorf("the answer is none of Prometheus: %w", err)
		}
		return s.value()
	case "vector":
		var all []struct{ Value sample }
		if err := json.Unmarshal(answer.Data.Result, &all); err != nil {
			return 0, fmt.Errorf("the answer is none of Prometheus: %w", err)
		}
		if len(all) != 1 {
			return 0, fmt.Errorf("the query gives %d series, want one: select by {server}, or take sum(…) or avg(…)", len(all))
		}
		return all[0].Value.value()
	}
	return 0, fmt.Errorf("the query gives a %s, want one number", weight.Printable(clip(answer.Data.ResultType)))
}
