package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/client"
	"ensemble/wire"
)

// refusal is a problem as a service answers it.
func refusal(status int, slug wire.Slug, retryAfter time.Duration) error {
	return fmt.Errorf("POST /x: %w", &client.ProblemError{
		Problem: wire.Problem{Type: "/problems/" + string(slug), Status: status}, RetryAfter: retryAfter,
	})
}

// persisted lets a command fail in turn, each time with another error and then with
// the last for ever, and says when it was sent, in fake time.
func persisted(t *testing.T, within time.Duration, fails ...error) (at []time.Duration, retried []error, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		if within > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, within)
			defer cancel()
		}
		began := time.Now()
		err = client.Persist(ctx, func(context.Context) error {
			at = append(at, time.Since(began))
			return fails[min(len(at), len(fails))-1]
		}, func(err error) { retried = append(retried, err) })
	})
	return at, retried, err
}

func TestACommandIsSentLaterEachTime(t *testing.T) {
	at, retried, err := persisted(t, 0, io.ErrUnexpectedEOF)
	ms := time.Millisecond
	want := []time.Duration{0}
	for _, pause := range []time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5000 * ms, 5000 * ms, 5000 * ms, 5000 * ms} {
		want = append(want, want[len(want)-1]+pause)
	}
	if !slices.Equal(at, want) {
		t.Errorf("sent at %v, want %v", at, want)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) || len(retried) != 11 {
		t.Errorf("%d retries, then %v", len(retried), err)
	}
}

func TestWhatIsSentAgainAndWhatIsNot(t *testing.T) {
	for name, c := range map[string]struct {
		fails error
		again bool
	}{
		"too many requests":       {refusal(429, wire.Busy, 0), true},
		"a gateway without a way": {refusal(502, "", 0), true},
		"busy":                    {refusal(503, wire.Busy, 0), true},
		"an unknown outcome":      {refusal(503, wire.OutcomeUnknown, time.Second), true},
		"too slow for a gateway":  {refusal(504, "", 0), true},
		"a key under way":         {refusal(409, wire.KeyInUse, time.Second), true},
		"a lost connection":       {io.ErrUnexpectedEOF, true},
		"a timeout of one call":   {context.DeadlineExceeded, true},
		"friends already":         {refusal(409, wire.FriendshipExists, 0), false},
		"unknown":                 {refusal(404, wire.UserNotFound, 0), false},
		"erased":                  {refusal(410, wire.UserErased, 0), false},
		"a failure of the system": {refusal(500, "", 0), false},
		"not well formed":         {refusal(400, "", 0), false},
		"the caller had enough":   {context.Canceled, false},
	} {
		at, retried, err := persisted(t, 0, c.fails, nil)
		if c.again && (err != nil || len(at) != 2 || len(retried) != 1 || !errors.Is(retried[0], c.fails)) {
			t.Errorf("%s: sent %d times, told of %v, %v", name, len(at), retried, err)
		}
		if !c.again && (!errors.Is(err, c.fails) || len(at) != 1 || len(retried) != 0) {
			t.Errorf("%s: sent %d times, %v", name, len(at), err)
		}
	}
}

func TestAnAnswerSaysWhenToComeAgain(t *testing.T) {
	for _, c := range []struct{ asked, pause time.Duration }{
		{0, 50 * time.Millisecond},
		{time.Millisecond, 50 * time.Millisecond}, // sooner than we would
		{3 * time.Second, 3 * time.Second},
		{time.Hour, 5 * time.Second}, // nobody waits that long
	} {
		at, _, err := persisted(t, 0, refusal(503, wire.Busy, c.asked), nil)
		if err != nil || len(at) != 2 || at[1] != c.pause {
			t.Errorf("asked to wait %v, sent at %v, %v", c.asked, at, err)
		}
	}
}

func TestPersistingEndsWithItsContext(t *testing.T) {
	at, _, err := persisted(t, time.Second, io.ErrUnexpectedEOF)
	if !errors.Is(err, context.DeadlineExceeded) || len(at) != 5 { // at 0, 50, 150, 350 and 750 ms
		t.Errorf("sent at %v, %v", at, err)
	}
}

// TestAKeyMakesPersistingSafe: the answer is lost each time, the person is one.
func TestAKeyMakesPersistingSafe(t *testing.T) {
	s, c := connect(t)
	lost := 0
	var u wire.User
	err := client.Persist(t.Context(), func(ctx context.Context) (err error) {
		var a client.Answer
		if u, a, err = c.CreateUser(ctx, "Ada", "Lovelace", "persist-1"); err != nil {
			return err
		}
		if lost < 2 {
			lost++
			return io.ErrUnexpectedEOF
		}
		if !a.Replayed {
			t.Error("the third answer is no replay")
		}
		return nil
	}, nil)
	if err != nil || u.ID != 1 {
		t.Fatalf("%+v, %v", u, err)
	}
	if head, err := s.UserLog.Head(t.Context()); err != nil || head.Position != 1 {
		t.Errorf("%d events, %v", head.Position, err)
	}
}
