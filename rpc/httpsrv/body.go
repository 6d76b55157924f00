package httpsrv

import (
	"errors"
	"io"
)

var errBodyTooLarge = errors.New("request body is larger than -distributor.max-recv-msg-size")

// readAll appends what r holds to buf. size is how much is announced, -1 if nothing is; more than limit is
// errBodyTooLarge. An announced size was compared with the limit before.
func readAll(buf []byte, r io.Reader, size, limit int64) ([]byte, error) {
	if size >= 0 {
		if int64(cap(buf)) < size {
			buf = make([]byte, 0, size)
		}
		n, err := io.ReadFull(r, buf[:size])
		return buf[:n], err
	}
	const step = 64 << 10
	for {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), 2*cap(buf)+step)
			copy(grown, buf)
			buf = grown
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return buf, errBodyTooLarge
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return buf, err
		}
	}
}
