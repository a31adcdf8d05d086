package source

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/evs-project/evs/internal/weight"
)

// newJSON asks for a document and takes the number that a JSON Pointer leads to.
func newJSON(a asking) (asker, error) {
	url, err := a.address()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (weight.Reading, error) {
		d, err := a.client.Get(ctx, url.String(), "")
		if err != nil {
			return weight.Reading{}, err
		}
		value, err := pointed(d.Body, a.Field)
		if err != nil {
			return weight.Reading{}, err
		}
		return weight.NumberOf(a.WeightSource, value, time.Now())
	}, nil
}

// pointed is the number that a JSON Pointer (RFC 6901) leads to.
func pointed(text []byte, pointer string) (float64, error) {
	var at any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&at); err != nil {
		return 0, fmt.Errorf("the answer is no JSON: %w", err)
	}
	var steps []string
	if pointer != "" {
		steps = strings.Split(pointer, "/")[1:]
	}
	for i, step := range steps {
		next, ok := member(at, strings.NewReplacer("~1", "/", "~0", "~").Replace(step))
		if !ok {
			return 0, fmt.Errorf("the answer has no /%s", strings.Join(steps[:i+1], "/"))
		}
		at = next
	}
	switch value := at.(type) {
	case json.Number:
		return value.Float64()
	case string:
		return number(value)
	}
	return 0, fmt.Errorf("at %q the answer has no number: name the field that has it", pointer)
}

// member is what an object or a list has by a name.
func member(of any, name string) (any, bool) {
	switch of := of.(type) {
	case map[string]any:
		value, ok := of[name]
		return value, ok
	case []any:
		if i, err := strconv.ParseUint(name, 10, 31); err == nil && int(i) < len(of) {
			return of[i], true
		}
	}
	return nil, false
}
