package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what a measurement leaves: for people as text and as a page, for programs as JSON.
type report struct {
	Title   string
	Command string
	Date    time.Time
	Machine machine
	// Notes say what was measured and how, a paragraph each.
	Notes  []string
	Tables []grid
	Charts []chart `json:"-"` // the page has them
	// Data are the figures behind it, as they were taken.
	Data any
}

// grid is a table of texts.
type grid struct {
	Title   string
	Columns []string
	Rows    [][]string
}

func (g *grid) add(cells ...string) { g.Rows = append(g.Rows, cells) }

func newReport(title string) *report {
	return &report{
		Title: title, Command: "ingestbench " + strings.Join(os.Args[1:], " "), Date: time.Now().UTC().Truncate(time.Second), Machine: thisMachine(),
	}
}

func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// publish prints the report, and with a path writes path.txt, path.json and, if there is something to draw, path.html.
func (r *report) publish(path string) error {
	err := r.text(os.Stdout)
	if path == "" {
		return err
	}
	files := map[string]func(io.Writer) error{".txt": r.text, ".json": r.json}
	if len(r.Charts) > 0 {
		files[".html"] = r.html
	}
	for ext, write := range files {
		var b strings.Builder
		err = errors.Join(err, write(&b), os.WriteFile(path+ext, []byte(b.String()), 0o644))
	}
	return err
}

func (r *report) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

func (r *report) text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\ncommand: %s, %s\n%s\n", r.Title, r.Command, r.Date.Format("2006-01-02 15:04 MST"), r.Machine)
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	for _, g := range r.Tables {
		fmt.Fprintf(&b, "\n%s\n", g.Title)
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, row := range append([][]string{g.Columns}, g.Rows...) {
			fmt.Fprintln(t, strings.Join(row, "\t")+"\t")
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
