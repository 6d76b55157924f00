package main

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// chart is lines over two axes.
type chart struct {
	Title, X, Y string
	Log         bool // the y axis is logarithmic; values at or below 0 are left out
	Curves      []curve
	// Marks are moments of the x axis, drawn as thin lines, and MarkName says what they are.
	Marks    []float64
	MarkName string
}

// curve is one line. Dots draws its points only.
type curve struct {
	Name   string
	Dots   bool
	Points [][2]float64
}

// Size of a drawing and of the space around its axes.
const (
	drawWidth, drawHeight         = 900.0, 340.0
	drawLeft, drawRight           = 74.0, 16.0
	drawTop, drawBottom           = 12.0, 44.0
	plotWidth                     = drawWidth - drawLeft - drawRight
	plotHeight                    = drawHeight - drawTop - drawBottom
	pointsMax                     = 900 // more are not told apart
	xTicks, yTicks        float64 = 8, 6
)

// scale places values on an axis of some length.
type scale struct {
	lo, hi float64
	log    bool
}

func (s scale) at(v, length float64) float64 {
	lo, hi := s.lo, s.hi
	if s.log {
		v, lo, hi = math.Log10(v), math.Log10(lo), math.Log10(hi)
	}
	return (v - lo) / (hi - lo) * length
}

// ticks are the values that are written at the axis.
func (s scale) ticks(about float64) (out []float64) {
	if s.log {
		for v := math.Pow(10, math.Floor(math.Log10(s.lo))); v <= s.hi*1.001; v *= 10 {
			if v >= s.lo*0.999 {
				out = append(out, v)
			}
		}
		return out
	}
	step := niceStep((s.hi - s.lo) / about)
	for v := math.Ceil(s.lo/step) * step; v <= s.hi+step/1000; v += step {
		out = append(out, v+0) // not -0
	}
	return out
}

// niceStep is 1, 2 or 5 times a power of ten, not below v.
func niceStep(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range [...]float64{1, 2, 5} {
		if f*p >= v*0.999 {
			return f * p
		}
	}
	return 10 * p
}

func (c *chart) scales() (x, y scale) {
	x, y = scale{lo: math.Inf(1), hi: math.Inf(-1)}, scale{lo: math.Inf(1), hi: math.Inf(-1), log: c.Log}
	for _, cu := range c.Curves {
		for _, p := range cu.Points {
			x.lo, x.hi = min(x.lo, p[0]), max(x.hi, p[0])
			if !c.Log || p[1] > 0 {
				y.lo, y.hi = min(y.lo, p[1]), max(y.hi, p[1])
			}
		}
	}
	if math.IsInf(y.lo, 0) { // nothing to draw
		x, y = scale{lo: 0, hi: 1}, scale{lo: 1, hi: 10, log: c.Log}
	}
	if x.lo == x.hi {
		x.lo, x.hi = x.lo-1, x.hi+1
	}
	if c.Log {
		y.lo, y.hi = math.Pow(10, math.Floor(math.Log10(y.lo))), math.Pow(10, math.Ceil(math.Log10(y.hi)*1.0001+1e-9))
	} else {
		y.lo, y.hi = 0, max(y.hi*1.05, 1e-9)
	}
	return x, y
}

var curveColours = [...]string{"#c2410c", "#1d4ed8", "#15803d", "#7e22ce", "#0e7490", "#a16207", "#be185d"}

// SVG draws the chart, to stand in a page.
func (c *chart) SVG() template.HTML {
	var b strings.Builder
	x, y := c.scales()
	px := func(v float64) float64 { return drawLeft + x.at(v, plotWidth) }
	py := func(v float64) float64 { return drawTop + plotHeight - y.at(v, plotHeight) }
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, drawWidth, drawHeight, template.HTMLEscapeString(c.Title))
	for _, v := range y.ticks(yTicks) {
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text class="y" x="%g" y="%.1f">%s</text>`,
			drawLeft, drawWidth-drawRight, py(v), py(v), drawLeft-6, py(v)+4, tickText(v))
	}
	for _, v := range x.ticks(xTicks) {
		fmt.Fprintf(&b, `<text class="x" x="%.1f" y="%g">%s</text>`, px(v), drawHeight-drawBottom+18, tickText(v))
	}
	for _, m := range c.Marks {
		if m >= x.lo && m <= x.hi {
			fmt.Fprintf(&b, `<line class="mark" x1="%.1f" x2="%.1f" y1="%g" y2="%g"/>`, px(m), px(m), drawTop, drawTop+plotHeight)
		}
	}
	for i, cu := range c.Curves {
		colour := curveColours[i%len(curveColours)]
		var line strings.Builder
		for _, p := range thin(cu.Points) {
			if c.Log && p[1] <= 0 {
				continue
			}
			fmt.Fprintf(&line, "%.1f,%.1f ", px(p[0]), py(p[1]))
			if cu.Dots || len(cu.Points) <= 40 {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="%g" fill="%s"/>`, px(p[0]), py(p[1]), dotSize(cu), colour)
			}
		}
		if !cu.Dots {
			fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.6"/>`, line.String(), colour)
		}
	}
	fmt.Fprintf(&b, `<text class="x" x="%g" y="%g">%s</text><text class="title" x="%g" y="%g">%s</text></svg>`,
		drawLeft+plotWidth/2, drawHeight-6, template.HTMLEscapeString(c.X), drawLeft+6, drawTop+14, template.HTMLEscapeString(c.Y))
	return template.HTML(b.String()) // every text in it is escaped
}

func dotSize(c curve) float64 {
	if len(c.Points) > 100 {
		return 1.2
	}
	return 3
}

// thin leaves the highest of neighbouring points where there are too many to draw: what stands out is what matters.
func thin(points [][2]float64) [][2]float64 {
	if len(points) <= pointsMax {
		return points
	}
	var out [][2]float64
	for i := range pointsMax {
		part := points[i*len(points)/pointsMax : (i+1)*len(points)/pointsMax]
		best := part[0]
		for _, p := range part {
			if p[1] > best[1] {
				best = p
			}
		}
		out = append(out, best)
	}
	return out
}

func tickText(v float64) string {
	for _, u := range [...]struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= u.size {
			return fmt.Sprintf("%.3g%s", v/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.3g", v)
}

// Legend lists the curves with their colours.
func (c *chart) Legend() (out []struct{ Name, Colour string }) {
	for i, cu := range c.Curves {
		out = append(out, struct{ Name, Colour string }{cu.Name, curveColours[i%len(curveColours)]})
	}
	return out
}
