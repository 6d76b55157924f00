package guard

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// A steady stream is shown at its rate after some minutes, by who sends it, and is forgotten when it ends.
func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Rates
		for range 300 {
			r.Add("one", false, 1000)
			r.Add("one", true, 10)
			time.Sleep(time.Second)
		}
		api, rule := r.Of("one")
		if math.Abs(api-1000) > 20 || math.Abs(rule-10) > 0.2 {
			t.Errorf("after 5 minutes of 1000 and 10 a second: %v and %v", api, rule)
		}
		time.Sleep(15 * time.Second)
		if later, _ := r.Of("one"); math.Abs(later/api-0.8) > 0.01 {
			t.Errorf("15 s without samples left %v of %v, Cortex's average has four fifths", later, api)
		}
		time.Sleep(time.Hour)
		if api, rule := r.Of("one"); api > 1e-9 || rule > 1e-9 {
			t.Errorf("an hour later: %v and %v", api, rule)
		}
		if api, rule := r.Of("two"); api != 0 || rule != 0 {
			t.Errorf("a tenant that sends nothing: %v and %v", api, rule)
		}
	})
}
