package answers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

// API asks one server's Prometheus query API.
type API struct {
	Base   string // without the /api/v1
	Tenant string // sent as X-Scope-OrgID if not empty
}

// Answer is a query's result in a form that compares: for each label set its points, in order of time. A
// scalar has the empty label set.
type Answer map[string][]Point

// Point holds a sample as the server printed it.
type Point struct{ T, V string }

// UnmarshalJSON reads the pair that a sample is in JSON.
func (p *Point) UnmarshalJSON(b []byte) error {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	p.T = string(pair[0])
	return json.Unmarshal(pair[1], &p.V)
}

// Range evaluates an expression at each step.
func (a API) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) (Answer, error) {
	return a.ask(ctx, "/api/v1/query_range", url.Values{
		"query": {expr}, "start": {seconds(start)}, "end": {seconds(end)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	})
}

// Instant evaluates an expression at one time.
func (a API) Instant(ctx context.Context, expr string, at time.Time) (Answer, error) {
	return a.ask(ctx, "/api/v1/query", url.Values{"query": {expr}, "time": {seconds(at)}})
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

func (a API) ask(ctx context.Context, path string, form url.Values) (Answer, error) {
	data, err := a.do(ctx, http.MethodPost, path, form)
	if err != nil {
		return nil, err
	}
	return parseAnswer(data)
}

// Get returns the data of any call of the API that takes its arguments in the URL.
func (a API) Get(ctx context.Context, path string, args url.Values) (json.RawMessage, error) {
	return a.do(ctx, http.MethodGet, path, args)
}

func (a API) do(ctx context.Context, method, path string, form url.Values) (json.RawMessage, error) {
	target, body := a.Base+path, ""
	if method == http.MethodGet {
		target += "?" + form.Encode()
	} else {
		body = form.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if a.Tenant != "" {
		req.Header.Set("X-Scope-OrgID", a.Tenant)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s%s answers %s to %s: %.300s", a.Base, path, resp.Status, form.Encode(), text)
	}
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		return nil, fmt.Errorf("parse %.100s: %w", text, err)
	}
	return envelope.Data, nil
}

// Text reads a page.
func Text(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %.300s", url, resp.Status, text)
	}
	return string(text), err
}

func parseAnswer(data []byte) (Answer, error) {
	var typed struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(data, &typed); err != nil {
		return nil, fmt.Errorf("parse %.100s: %w", data, err)
	}
	if typed.ResultType == "scalar" {
		var p Point
		err := json.Unmarshal(typed.Result, &p)
		return Answer{"{}": {p}}, err
	}
	var series []struct {
		Metric     map[string]string `json:"metric"`
		Value      *Point            `json:"value"`
		Values     []Point           `json:"values"`
		Histogram  json.RawMessage   `json:"histogram"`
		Histograms json.RawMessage   `json:"histograms"`
	}
	if err := json.Unmarshal(typed.Result, &series); err != nil {
		return nil, fmt.Errorf("parse result %.100s: %w", typed.Result, err)
	}
	a := Answer{}
	for _, s := range series {
		key := LabelText(s.Metric)
		if _, twice := a[key]; twice {
			return nil, fmt.Errorf("the answer has %s twice", key)
		}
		if s.Histogram != nil || s.Histograms != nil {
			return nil, fmt.Errorf("the answer has native histograms for %s, which this comparison does not know", key)
		}
		if s.Value != nil {
			s.Values = []Point{*s.Value}
		}
		a[key] = s.Values
	}
	return a, nil
}

// LabelText is a label set as a key: {name="value", ...}, ordered by name.
func LabelText(metric map[string]string) string {
	pairs := make([]string, 0, len(metric))
	for name, value := range metric {
		pairs = append(pairs, name+"="+strconv.Quote(value))
	}
	sort.Strings(pairs)
	return "{" + strings.Join(pairs, ", ") + "}"
}
