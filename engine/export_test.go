package engine

// What tests outside of the package need of its inside.

// CrashAt makes the engine call f at the named points of checkpoint and recovery.
func CrashAt(c *Config, f func(point string)) { c.crash = f }

var (
	TestNow   = testNow
	KeyOf     = keyOf
	ReadStock = readStock
)

type StockView = stockView
