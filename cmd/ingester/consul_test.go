package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// fakeConsul is as much of Consul's key-value API as a ring needs: get, and put if nobody else did. Calls fail while it is away.
type fakeConsul struct {
	*httptest.Server
	mu     sync.Mutex
	gone   bool
	index  uint64
	values map[string]consulValue
}

type consulValue struct {
	Key                      string
	Value                    []byte
	CreateIndex, ModifyIndex uint64
}

func newFakeConsul(t *testing.T) *fakeConsul {
	c := &fakeConsul{values: map[string]consulValue{}, index: 1}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *fakeConsul) away(gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = gone
}

func (c *fakeConsul) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		http.Error(w, "no leader", http.StatusInternalServerError)
		return
	}
	key := strings.TrimPrefix(r.URL.Path, "/v1/kv/")
	old, there := c.values[key]
	w.Header().Set("X-Consul-Index", strconv.FormatUint(c.index, 10))
	switch {
	case r.Method == http.MethodGet && !there:
		http.NotFound(w, r)
	case r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode([]consulValue{old})
	case r.Method == http.MethodPut:
		b, err := io.ReadAll(r.Body)
		ok := err == nil && r.URL.Query().Get("cas") == strconv.FormatUint(old.ModifyIndex, 10)
		if ok {
			c.index++
			c.values[key] = consulValue{Key: key, Value: b, CreateIndex: max(old.CreateIndex, 1), ModifyIndex: c.index}
		}
		fmt.Fprint(w, ok)
	default:
		http.Error(w, "not faked", http.StatusNotImplemented)
	}
}
