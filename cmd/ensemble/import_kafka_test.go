package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// importing runs an import and returns its exit code and what it said.
func importing(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	var out bytes.Buffer
	code = run(t.Context(), append([]string{"import"}, args...), &out, &out)
	return code, out.String()
}

// TestASpringSystemIsTakenOverFromItsTopics: with all ids, and what is odd is said; a
// system starts on it, gives the next ids, and answers as the old one did.
func TestASpringSystemIsTakenOverFromItsTopics(t *testing.T) {
	cluster := fakeCluster(t)
	k := kafkaClient(t, cluster)
	if _, err := kadm.NewClient(k).CreateTopics(t.Context(), 1, 1, nil, "people", "friend"); err != nil {
		t.Fatal(err)
	}
	var records []*kgo.Record
	for _, id := range []int{1, 2, 3, 5, 9} {
		records = append(records, &kgo.Record{Topic: "people", Value: fmt.Appendf(nil, `{"subject":{"id":%d,"firstName":"N%d","lastName":"L","createdAt":1669477531123,"lastModified":1669477531123},"eventType":"USER_CREATED"}`, id, id)})
	}
	for i, pair := range [][2]int{{1, 2}, {2, 3}, {3, 5}, {2, 1}, {9, 9}, {9, 77}} {
		records = append(records, &kgo.Record{Topic: "friend", Value: fmt.Appendf(nil, `{"subject":{"id":%d,"userId":%d,"friendId":%d},"eventType":"FRIEND_ADDED"}`, 10+i, pair[0], pair[1])})
	}
	if err := k.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	into := filepath.Join(t.TempDir(), "data")
	from := []string{"--from-kafka", "kafka://" + cluster.ListenAddrs()[0], "--user-topic", "people", "--into", into}
	code, said := importing(t, append(from, "--dry-run")...)
	for _, want := range []string{"1 × a record that can't be read", "1 × a friendship that both have added", "1 × a friendship with somebody who is not there", "would take over 5 people and 4 friendships; nothing was written"} {
		if code != 0 || !strings.Contains(said, want) {
			t.Fatalf("it ends with %d and does not say %q:\n%s", code, want, said)
		}
	}
	if code, said := importing(t, append(from, "--strict")...); code == 0 || !strings.Contains(said, "3 things are odd and --strict was given") {
		t.Errorf("strictly it ends with %d:\n%s", code, said)
	}
	if _, err := os.Stat(into); err == nil {
		t.Fatal("something was written")
	}
	if code, said := importing(t, from...); code != 0 || !strings.Contains(said, "took over 5 people and 4 friendships, with their ids") {
		t.Fatalf("it ends with %d:\n%s", code, said)
	}
	if code, said := importing(t, from...); code == 0 || !strings.Contains(said, "the log is not empty") {
		t.Errorf("a second time it ends with %d:\n%s", code, said)
	}
	verified(t, into)
	r := start(t, into)
	c := r.client()
	if u, _, err := c.User(t.Context(), 9); err != nil || u.FirstName != "N9" {
		t.Errorf("9 is %+v, %v", u, err)
	}
	recommended(t, c, 1, 3)
	if u, _, err := c.CreateUser(t.Context(), "New", "", ""); err != nil || u.ID != 10 {
		t.Errorf("who is new is %+v, %v", u, err)
	}
	if f, _, err := c.AddFriend(t.Context(), 9, 10, ""); err != nil || f.ID != 14 {
		t.Errorf("the new row is %+v, %v", f, err)
	}
	if _, err := c.RemoveFriend(t.Context(), 2, 1, ""); err != nil {
		t.Fatal(err)
	}
	if friends, err := c.Friends(t.Context(), 1); err != nil || len(friends) != 0 {
		t.Errorf("1 still has %+v, %v", friends, err)
	}
}

func TestMistakesOfATakeover(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--from-kafka", "kafka://127.0.0.1:1"}, "--from-kafka needs --into DIR"},
		{[]string{"--from-kafka", "kafka://127.0.0.1:1", "--people", os.Args[0]}, "leave --people, --friends and --map out"},
		{[]string{"--from-kafka", "kafka://u:secret@a?acks=0", "--dry-run"}, `there is no option "acks"`},
	} {
		if code, said := importing(t, c.args...); code == 0 || !strings.Contains(said, c.want) || strings.Contains(said, "secret") {
			t.Errorf("%q ends with %d:\n%s", c.args, code, said)
		}
	}
}
