package guard

import (
	"math"
	"sync"
	"time"
)

// rateSpan is how far back a rate looks: the weight of a sample falls to 1/e in this time. It is what Cortex's average has,
// which takes a fifth of the last 15 s and four fifths of what was before.
const rateSpan = 67 * time.Second

// Rates is how many samples a second tenants have been sending, those of rulers apart.
type Rates struct {
	tenants sync.Map // of *tenantRates by tenant
}

type tenantRates struct {
	mu        sync.Mutex
	api, rule rate
}

// rate is samples a second, as it was at a time.
type rate struct {
	value float64
	at    time.Time
}

func (r *rate) to(now time.Time) float64 {
	r.value *= math.Exp(-float64(now.Sub(r.at)) / float64(rateSpan))
	r.at = now
	return r.value
}

// Add counts samples of a tenant that were stored.
func (r *Rates) Add(tenant string, rule bool, samples int) {
	v, ok := r.tenants.Load(tenant)
	if !ok {
		v, _ = r.tenants.LoadOrStore(tenant, new(tenantRates))
	}
	t, now := v.(*tenantRates), time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	of := &t.api
	if rule {
		of = &t.rule
	}
	of.to(now)
	of.value += float64(samples) / rateSpan.Seconds()
}

// Of returns a tenant's rates.
func (r *Rates) Of(tenant string) (api, rule float64) {
	v, ok := r.tenants.Load(tenant)
	if !ok {
		return 0, 0
	}
	t, now := v.(*tenantRates), time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.api.to(now), t.rule.to(now)
}
