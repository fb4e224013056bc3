package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ensemble/api/apitest"
	"ensemble/client"
	"ensemble/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect starts a system and returns a client of its gateway.
func connect(t testing.TB) (*apitest.System, *client.Client) {
	t.Helper()
	s := apitest.Start(t, apitest.Options{})
	return s, clientOf(t, s.Gateway)
}

func clientOf(t testing.TB, h http.Handler) *client.Client {
	t.Helper()
	server := httptest.NewServer(h)
	transport := client.Transport(8)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return client.New(server.URL+"/", &http.Client{Transport: transport})
}

func TestEveryCall(t *testing.T) {
	s, c := connect(t)
	ctx := t.Context()
	for i := range int64(4) {
		u, a, err := c.CreateUser(ctx, "Ada \"A\" 😀", "", "")
		if err != nil || u.ID != i+1 || !a.Created || a.Status != 201 || a.Replayed ||
			a.Location != fmt.Sprintf("/user/v1/users/%d", i+1) || a.ETag == "" || !strings.HasPrefix(a.EventPosition, "user:") {
			t.Fatalf("%+v, %+v, %v", u, a, err)
		}
	}
	if u, a, err := c.Rename(ctx, 1, "Grace", "Hopper"); err != nil || u.FirstName != "Grace" || a.Created {
		t.Errorf("%+v, %+v, %v", u, a, err)
	}
	if u, a, err := c.User(ctx, 1); err != nil || u.LastName != "Hopper" || a.EventPosition != "" {
		t.Errorf("%+v, %+v, %v", u, a, err)
	}
	if users, err := c.Users(ctx, 3); err != nil || len(users) != 3 {
		t.Errorf("%+v, %v", users, err)
	}
	if f, a, err := c.AddFriend(ctx, 1, 2, ""); err != nil || f.FriendID != 2 || !a.Created {
		t.Errorf("%+v, %+v, %v", f, a, err)
	}
	if f, a, err := c.AddFriend(ctx, 2, 1, ""); err != nil || f.FriendID != 1 || a.Created {
		t.Errorf("%+v, %+v, %v", f, a, err)
	}
	if _, _, err := c.AddFriend(ctx, 2, 3, ""); err != nil {
		t.Error(err)
	}
	if friends, err := c.Friends(ctx, 2); err != nil || len(friends) != 2 || friends[0].FriendID != 1 {
		t.Errorf("%+v, %v", friends, err)
	}
	if f, err := c.Friendship(ctx, 2); err != nil || f.UserID != 2 || f.FriendID != 3 {
		t.Errorf("%+v, %v", f, err)
	}
	s.Settle(t)
	if list, err := c.Recommend(ctx, 1, 10); err != nil || len(list) != 1 || list[0].User.ID != 3 || list[0].Weight != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	if users, err := c.Mutual(ctx, 1, 3); err != nil || len(users) != 1 || users[0].ID != 2 {
		t.Errorf("%+v, %v", users, err)
	}
	if a, err := c.RemoveFriend(ctx, 3, 2, ""); err != nil || a.Status != 204 || a.EventPosition == "" {
		t.Errorf("%+v, %v", a, err)
	}
	for _, service := range []string{"", "user", "friend", "recommendation"} {
		if h, err := c.Health(ctx, service); err != nil || h.Status != "UP" {
			t.Errorf("health of %q is %+v, %v", service, h, err)
		}
	}
}

func TestAKeyMakesARetrySafe(t *testing.T) {
	_, c := connect(t)
	first, _, err := c.CreateUser(t.Context(), "Ada", "Lovelace", "k")
	if err != nil {
		t.Fatal(err)
	}
	again, a, err := c.CreateUser(t.Context(), "Ada", "Lovelace", "k")
	if err != nil || !a.Replayed || !a.Created || again != first {
		t.Errorf("%+v, %+v, %v", again, a, err)
	}
}

func TestRenamingWhatWasRead(t *testing.T) {
	_, c := connect(t)
	_, read, err := c.CreateUser(t.Context(), "Ada", "Byron", "")
	if err != nil {
		t.Fatal(err)
	}
	u, _, err := c.RenameIf(t.Context(), 1, read.ETag, "Ada", "Lovelace")
	if err != nil || u.LastName != "Lovelace" {
		t.Fatalf("%+v, %v", u, err)
	}
	var problem *client.ProblemError
	if _, _, err := c.RenameIf(t.Context(), 1, read.ETag, "Ada", "King"); !errors.As(err, &problem) ||
		problem.Slug() != wire.PreconditionFailed {
		t.Errorf("a name that was never read is overwritten: %v", err)
	}
}

func TestRefusalsAreProblems(t *testing.T) {
	s, c := connect(t)
	ctx := t.Context()
	_, _, self := c.AddFriend(ctx, 1, 1, "")
	_, _, unknown := c.AddFriend(ctx, 1, 2, "")
	_, _, invalid := c.CreateUser(ctx, " ", "", "")
	_, nobody := c.Friendship(ctx, 1)
	for err, want := range map[error]wire.Slug{
		self: wire.SelfFriendship, unknown: wire.UserNotFound, invalid: wire.ValidationFailed, nobody: wire.FriendshipNotFound,
	} {
		var problem *client.ProblemError
		if !errors.As(err, &problem) || problem.Slug() != want || problem.Problem.Status != want.Kind().Status {
			t.Errorf("%v is not %s", err, want)
		}
	}
	s.Health.SetDraining(true)
	if h, err := c.Health(ctx, "user"); err != nil || h.Status != "DOWN" {
		t.Errorf("a health that is DOWN is %+v, %v", h, err)
	}
}

func TestAnswersThatAreNoProblems(t *testing.T) {
	c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		http.Error(w, "<html>overloaded</html>", http.StatusBadGateway)
	}))
	_, _, err := c.User(t.Context(), 1)
	var problem *client.ProblemError
	if !errors.As(err, &problem) || problem.Problem.Status != 502 || problem.RetryAfter != 7*time.Second || problem.Slug() != "" ||
		!strings.Contains(err.Error(), "overloaded") {
		t.Errorf("%v", err)
	}
	if _, err := c.Health(t.Context(), ""); !errors.As(err, &problem) {
		t.Errorf("%v", err)
	}
}

func TestAnAnswerCutShortIsAnError(t *testing.T) {
	c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, `[{"id":1},`)
		panic(http.ErrAbortHandler)
	}))
	if friends, err := c.Friends(t.Context(), 1); err == nil {
		t.Errorf("read %+v", friends)
	}
}

func TestNobodyIsThere(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c := client.New(server.URL, &http.Client{Transport: client.Transport(1)})
	if _, _, err := c.User(t.Context(), 1); err == nil || errors.As(err, new(*client.ProblemError)) {
		t.Errorf("%v", err)
	}
	if _, err := c.Health(t.Context(), ""); err == nil {
		t.Error("nobody is healthy")
	}
}
