package main

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

// api asks one server's Prometheus query API.
type api struct{ base string } // without the /api/v1

// answer is a query's result in a form that compares: for each label set its points, in order of time. A
// scalar has the empty label set.
type answer map[string][]point

// point holds a sample as the server printed it.
type point struct{ t, v string }

func (p *point) UnmarshalJSON(b []byte) error {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	p.t = string(pair[0])
	return json.Unmarshal(pair[1], &p.v)
}

func (a api) rangeQuery(ctx context.Context, expr string, start, end time.Time, step time.Duration) (answer, error) {
	return a.ask(ctx, "/api/v1/query_range", url.Values{
		"query": {expr}, "start": {seconds(start)}, "end": {seconds(end)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	})
}

func (a api) instantQuery(ctx context.Context, expr string, at time.Time) (answer, error) {
	return a.ask(ctx, "/api/v1/query", url.Values{"query": {expr}, "time": {seconds(at)}})
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

func (a api) ask(ctx context.Context, path string, form url.Values) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s to %s: %.300s", a.base, resp.Status, form.Get("query"), body)
	}
	return parseAnswer(body)
}

func parseAnswer(body []byte) (answer, error) {
	var envelope struct {
		Data struct {
			ResultType string          `json:"resultType"`
			Result     json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, fmt.Errorf("parse %.100s: %w", body, err)
	}
	if envelope.Data.ResultType == "scalar" {
		var p point
		err := json.Unmarshal(envelope.Data.Result, &p)
		return answer{"{}": {p}}, err
	}
	var series []struct {
		Metric     map[string]string `json:"metric"`
		Value      *point            `json:"value"`
		Values     []point           `json:"values"`
		Histogram  json.RawMessage   `json:"histogram"`
		Histograms json.RawMessage   `json:"histograms"`
	}
	if err := json.Unmarshal(envelope.Data.Result, &series); err != nil {
		return nil, fmt.Errorf("parse result %.100s: %w", envelope.Data.Result, err)
	}
	a := answer{}
	for _, s := range series {
		key := labelText(s.Metric)
		if _, twice := a[key]; twice {
			return nil, fmt.Errorf("the answer has %s twice", key)
		}
		if s.Histogram != nil || s.Histograms != nil {
			return nil, fmt.Errorf("the answer has native histograms for %s, which this comparison does not know", key)
		}
		if s.Value != nil {
			s.Values = []point{*s.Value}
		}
		a[key] = s.Values
	}
	return a, nil
}

func labelText(metric map[string]string) string {
	pairs := make([]string, 0, len(metric))
	for name, value := range metric {
		pairs = append(pairs, name+"="+strconv.Quote(value))
	}
	sort.Strings(pairs)
	return "{" + strings.Join(pairs, ", ") + "}"
}
