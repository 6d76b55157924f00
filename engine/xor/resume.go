package xor

// Resume returns the state in which an appender was that wrote the chunk b, as Finish returned it.
func Resume(b []byte) (State, error) {
	var it Iterator
	it.Reset(b)
	for it.Next() {
	}
	if err := it.Err(); err != nil {
		return State{}, err
	}
	var s State
	Start(&s)
	if it.pos > maxBits {
		return State{}, ErrTooLong
	}
	s.T, s.V, s.Delta = it.t, it.v, it.delta
	s.Bits, s.N = uint16(it.pos), it.read
	s.Lead, s.Trail = it.lead, it.trail
	return s, nil
}
