package engine_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"github.com/rekindledb/rekindle/engine"
)

// victim is the parent's view of one child.
type victim struct {
	life     life
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	pipe     *os.File
	events   *json.Decoder
	stderr   bytes.Buffer // complete when the child has ended
	stopping atomic.Bool  // it was asked to stop: what it refuses is no fault

	ready  event
	killed string // where it was killed, in its own words; empty if it was the parent
}

const childVariable = "REKINDLE_CRASH_CHILD"

// spawn starts a child.
func spawn(t *testing.T, l life) *victim {
	t.Helper()
	text, err := json.Marshal(l)
	require.NoError(t, err)
	_ = os.Remove(l.Socket) // the last child's
	v := &victim{life: l, cmd: exec.Command(os.Args[0], "-test.run=^TestCrash$")}
	v.cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	v.cmd.Stderr = &v.stderr
	v.stdin, err = v.cmd.StdinPipe()
	require.NoError(t, err)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	v.cmd.ExtraFiles = []*os.File{write}
	require.NoError(t, v.cmd.Start())
	require.NoError(t, write.Close())
	v.pipe, v.events = read, json.NewDecoder(read)
	return v
}

// start waits until the child is ready, and calls begun when it begins and quiet for every tenant that it has recovered. It
// returns false if the child ended before.
func (v *victim) start(begun func(), quiet func(tenant string)) bool {
	for {
		var e event
		if v.events.Decode(&e) != nil {
			return false
		}
		switch e.Kind {
		case eventBegun:
			begun()
		case eventQuiet:
			quiet(e.Text)
			v.proceed()
		case eventReady:
			v.ready = e
			return true
		case eventKilled:
			v.killed = e.Text
		}
	}
}

// proceed lets the child go on. A dead one needs no telling.
func (v *victim) proceed() { _, _ = io.WriteString(v.stdin, "go\n") }

func (v *victim) kill() { _ = v.cmd.Process.Kill() }

// end waits for the child's end. It returns whether it was killed; any other end but that of a clean stop is an error.
func (v *victim) end() (killed bool, err error) {
	for {
		var e event
		if v.events.Decode(&e) != nil {
			break
		}
		if e.Kind == eventKilled {
			v.killed = e.Text
		}
	}
	err = v.cmd.Wait()
	v.pipe.Close()
	var exit *exec.ExitError
	switch status, _ := v.cmd.ProcessState.Sys().(syscall.WaitStatus); {
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		killed, err = true, nil
	case errors.As(err, &exit) || !v.stopping.Load():
		err = fmt.Errorf("the process ended by itself: %v", v.cmd.ProcessState)
	}
	if v.life.Kill.Trouble == nil && strings.Contains(v.stderr.String(), "level=ERROR") {
		err = errors.Join(err, errors.New("the process reported an error"))
	}
	return killed, err
}

// mayRefuse says that a good request may be refused: the process stops, or its log fails.
func (v *victim) mayRefuse() bool { return v.stopping.Load() || v.life.Kill.Trouble != nil }

// client is a connection to the child.
type client struct {
	conn net.Conn
	enc  *gob.Encoder
	dec  *gob.Decoder
}

func (v *victim) dial() (*client, error) {
	conn, err := net.Dial("unix", v.life.Socket)
	if err != nil {
		return nil, err
	}
	return &client{conn, gob.NewEncoder(conn), gob.NewDecoder(conn)}, nil
}

// ask returns the child's answer; an error means that there will be none.
func (c *client) ask(r *request) (a response, err error) {
	if err := c.enc.Encode(r); err != nil {
		return a, err
	}
	err = c.dec.Decode(&a)
	return a, err
}

// stop asks the child to stop.
func (v *victim) stop() {
	v.stopping.Store(true)
	if c, err := v.dial(); err == nil {
		defer c.conn.Close()
		_, _ = c.ask(&request{Op: "stop"})
	}
}

// dump asks for everything a tenant holds.
func (v *victim) dump(tenant string) (map[string][]engine.Sample, error) {
	c, err := v.dial()
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	a, err := c.ask(&request{Op: "dump", Tenant: tenant})
	if err != nil {
		return nil, err
	}
	if text := a.Err + a.Unavailable; text != "" {
		return nil, fmt.Errorf("tenant %s cannot be read: %s", tenant, text)
	}
	out := map[string][]engine.Sample{}
	for _, s := range a.Dump {
		if _, twice := out[s.Labels]; twice {
			return nil, fmt.Errorf("series %s is there twice", s.Labels)
		}
		if out[s.Labels], err = decode(s.Chunks); err != nil {
			return nil, fmt.Errorf("series %s: %w", s.Labels, err)
		}
	}
	return out, nil
}

// decode returns the samples of a series' chunks.
func decode(chunks []engine.Chunk) (out []engine.Sample, err error) {
	for _, c := range chunks {
		chunk, err := chunkenc.FromData(c.Enc, c.Data)
		if err != nil {
			return nil, err
		}
		before := len(out)
		it := chunk.Iterator(nil)
		for it.Next() != chunkenc.ValNone {
			ts, v := it.At()
			out = append(out, engine.Sample{T: ts, V: math.Float64bits(v)})
		}
		if err := it.Err(); err != nil {
			return nil, err
		}
		if before == len(out) || out[before].T != c.MinT || out[len(out)-1].T != c.MaxT {
			return nil, fmt.Errorf("a chunk of [%d, %d] holds %v", c.MinT, c.MaxT, out[before:])
		}
	}
	return out, nil
}

// quit makes a child that hangs say where.
func (v *victim) quit() { _ = v.cmd.Process.Signal(syscall.SIGQUIT) }
