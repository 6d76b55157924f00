package main

import (
	_ "embed"
	"html/template"
	"io"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// html writes the report as one file that needs nothing else: the drawings are in it.
func (r *report) html(w io.Writer) error {
	v := struct {
		*report
		Charts []*chart
	}{report: r}
	for i := range r.Charts {
		v.Charts = append(v.Charts, &r.Charts[i])
	}
	return page.Execute(w, v)
}
