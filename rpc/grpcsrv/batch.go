package grpcsrv

import "context"

// batchBytes is the size of a message of a stream: what would take a message beyond it begins the next one. Chunks of one
// series are never divided.
const batchBytes = 256 << 10

// batch collects a message of a stream.
type batch struct {
	message []byte
	send    func(reply) error
}

func newBatch(send func(reply) error) *batch { return &batch{send: send} }

// room sends what there is if size more bytes would be too many.
func (b *batch) room(size int) error {
	if len(b.message) > 0 && len(b.message)+size > batchBytes {
		if err := b.flush(); err != nil {
			return err
		}
	}
	if b.message == nil {
		b.message = (*buffers.Get(max(size, batchBytes)))[:0]
	}
	return nil
}

// flush sends what there is. Its memory is the receiver's then.
func (b *batch) flush() error {
	if len(b.message) == 0 {
		return nil
	}
	message := b.message
	b.message = nil
	return b.send(message)
}

// sendAhead is how many messages wait while one is sent, so that the next are made meanwhile.
const sendAhead = 4

// sending runs produce, whose send may be called by several goroutines and returns with an error as soon as ctx ends, whatever
// the client does: a client that reads nothing holds up the messages, and nobody who waits for the stores' locks.
func sending(ctx context.Context, send func(reply) error, produce func(ctx context.Context, send func(reply) error) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	messages, sent := make(chan reply, sendAhead), make(chan struct{})
	go func() {
		defer close(sent)
		for m := range messages {
			if err := send(m); err != nil {
				cancel(err)
				return
			}
		}
	}()
	err := produce(ctx, func(m reply) error {
		select {
		case messages <- m:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(messages)
	if err != nil {
		return err
	}
	select {
	case <-sent:
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}
