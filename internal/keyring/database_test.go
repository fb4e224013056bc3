package keyring

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ensemble/eventstore"
	"ensemble/internal/servertest"
	"ensemble/user"
)

// openKeys opens a replica's keys in a database.
func openKeys(t testing.TB, url, master string) *Database {
	t.Helper()
	d, err := OpenDatabase(t.Context(), url, master)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// newMaster names a master key that is not there yet.
func newMaster(t testing.TB) string { return filepath.Join(t.TempDir(), "master.key") }

// TestWhatOneReplicaSealsEveryReplicaOpens, until one of them destroys the key; from then
// on none does, whatever it had in memory.
func TestWhatOneReplicaSealsEveryReplicaOpens(t *testing.T) {
	url, master := servertest.Postgres(t), newMaster(t)
	replicas := []*Database{openKeys(t, url, master), openKeys(t, url, master), openKeys(t, url, master)}
	var ids []int64
	sealed := map[int64][]byte{}
	for i := range 9 {
		id, err := replicas[i%3].New(t.Context())
		if err != nil || sealed[id] != nil {
			t.Fatalf("key %d, %v", id, err)
		}
		if sealed[id], err = replicas[(i+1)%3].Seal(id, []byte("Ada")); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	opened := func(id int64) (n int) {
		for _, r := range replicas {
			for _, keys := range []user.Keys{r, r.InOrder()} {
				switch text, err := keys.Open(id, sealed[id]); {
				case err == nil && string(text) == "Ada":
					n++
				case !errors.Is(err, user.ErrKeyDestroyed):
					t.Errorf("key %d: %q, %v", id, text, err)
				}
			}
		}
		return n
	}
	for i, id := range ids {
		if n := opened(id); n != 6 {
			t.Fatalf("key %d opened %d times of 6", id, n)
		}
		if i%2 == 0 {
			continue
		}
		if err := replicas[i%3].Destroy(t.Context(), id, id); err != nil {
			t.Fatal(err)
		}
		if n := opened(id); n != 0 {
			t.Fatalf("key %d was destroyed and opened %d times", id, n)
		}
	}
	for _, r := range replicas {
		got, err := r.Destroyed(t.Context())
		if want := []int64{ids[1], ids[3], ids[5], ids[7]}; err != nil || !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Fatalf("destroyed are %v, %v", got, err)
		}
		if _, err := r.Seal(ids[1], []byte("x")); !errors.Is(err, user.ErrKeyDestroyed) {
			t.Fatalf("a destroyed key seals: %v", err)
		}
	}
	if err := replicas[0].Destroy(t.Context(), ids[1]); err != nil {
		t.Fatalf("again: %v", err)
	}
}

// TestNoKeyIsUsedAnywhereOnceDestroyReturns: while a replica opens a name as fast as it
// can, another destroys its key.
func TestNoKeyIsUsedAnywhereOnceDestroyReturns(t *testing.T) {
	url, master := servertest.Postgres(t), newMaster(t)
	one, other := openKeys(t, url, master), openKeys(t, url, master)
	for range 4 {
		id, err := one.New(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := other.Seal(id, []byte("Ada"))
		if err != nil {
			t.Fatal(err)
		}
		var last time.Time // when it was opened last; what is measured is its beginning
		var group sync.WaitGroup
		group.Go(func() {
			for {
				began := time.Now()
				if _, err := other.Open(id, sealed); err != nil {
					if !errors.Is(err, user.ErrKeyDestroyed) {
						t.Error(err)
					}
					return
				}
				last = began
			}
		})
		if err := one.Destroy(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		returned := time.Now()
		group.Wait()
		if last.After(returned) {
			t.Fatalf("a key was used %v after it was destroyed", last.Sub(returned))
		}
	}
}

// TestKeysAreEmptyUntilOneIsMade, and not again when it is destroyed.
func TestKeysAreEmptyUntilOneIsMade(t *testing.T) {
	url, master := servertest.Postgres(t), newMaster(t)
	d := openKeys(t, url, master)
	empty := func() bool {
		t.Helper()
		empty, err := openKeys(t, url, master).Empty(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return empty
	}
	if !empty() {
		t.Error("keys are there before one was made")
	}
	id, err := d.New(t.Context())
	if err != nil || empty() {
		t.Errorf("none are there after key %d was made, %v", id, err)
	}
	if err := d.Destroy(t.Context(), id); err != nil || empty() {
		t.Errorf("none are there after key %d was destroyed, %v", id, err)
	}
}

// TestNoTwoReplicasHandOutOneKey, with any sizes of blocks.
func TestNoTwoReplicasHandOutOneKey(t *testing.T) {
	url, master := servertest.Postgres(t), newMaster(t)
	var mu sync.Mutex
	seen := map[int64]bool{}
	var group sync.WaitGroup
	for range 4 {
		d := openKeys(t, url, master)
		group.Go(func() {
			for range 150 {
				id, err := d.New(context.Background())
				mu.Lock()
				if err != nil || seen[id] {
					t.Errorf("key %d, before: %v, %v", id, seen[id], err)
				}
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

// TestReplicasThatStartAtOnceHaveOneMasterKey, when there was neither a table nor a key.
func TestReplicasThatStartAtOnceHaveOneMasterKey(t *testing.T) {
	url, master := servertest.Postgres(t), newMaster(t)
	opened := make(chan *Database)
	const n = 6
	for range n {
		go func() {
			d, err := OpenDatabase(context.Background(), url, master)
			if err != nil {
				t.Error(err)
			}
			opened <- d
		}()
	}
	sealed := map[int64][]byte{}
	var replicas []*Database
	for range n {
		d := <-opened
		if d == nil {
			continue
		}
		replicas = append(replicas, d)
		defer d.Close()
		id, err := d.New(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if sealed[id], err = d.Seal(id, []byte("Ada")); err != nil {
			t.Fatal(err)
		}
	}
	for id, text := range sealed {
		for i, d := range replicas {
			if got, err := d.Open(id, text); err != nil || string(got) != "Ada" {
				t.Errorf("replica %d opens key %d: %q, %v", i, id, got, err)
			}
		}
	}
	if len(sealed) != n {
		t.Errorf("%d keys of %d replicas", len(sealed), n)
	}
}

// TestKeysInOrderFromADatabaseAreTheSameKeys, over several readings ahead, in whatever order
// they are asked for.
func TestKeysInOrderFromADatabaseAreTheSameKeys(t *testing.T) {
	url, master := servertest.Postgres(t), newMaster(t)
	d := openKeys(t, url, master)
	sealed := map[int64][]byte{}
	for len(sealed) < 9000 {
		id, err := d.New(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if sealed[id], err = d.Seal(id, []byte{byte(id)}); err != nil {
			t.Fatal(err)
		}
	}
	ids := slices.Sorted(maps.Keys(sealed))
	gone := []int64{ids[0], ids[5000], ids[8999]}
	if err := d.Destroy(t.Context(), gone...); err != nil {
		t.Fatal(err)
	}
	other := openKeys(t, url, master).InOrder()
	check := func(id int64) {
		t.Helper()
		got, err := other.Open(id, sealed[id])
		if slices.Contains(gone, id) {
			if !errors.Is(err, user.ErrKeyDestroyed) {
				t.Fatalf("key %d was destroyed: %v, %v", id, got, err)
			}
		} else if err != nil || got[0] != byte(id) {
			t.Fatalf("key %d: %v, %v", id, got, err)
		}
	}
	for _, id := range ids {
		check(id)
	}
	for i := len(ids) - 1; i > 0; i -= 1777 {
		check(ids[i])
	}
	for _, id := range gone {
		check(id)
		again, err := other.Seal(ids[1], []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := d.Open(ids[1], again); err != nil || string(text) != "x" {
			t.Fatalf("%q, %v", text, err)
		}
	}
}

// TestRandomOrdersToReplicasEndAsAMapSays, each order to any of them. Destroying takes its
// time, so there are a few rounds.
func TestRandomOrdersToReplicasEndAsAMapSays(t *testing.T) {
	url, master := servertest.Postgres(t), newMaster(t)
	replicas := []*Database{openKeys(t, url, master), openKeys(t, url, master)}
	sealed, gone := map[int64][]byte{}, map[int64]bool{}
	for round := range 8 {
		rnd := rand.New(rand.NewPCG(1, uint64(round)))
		any := func() *Database { return replicas[rnd.IntN(2)] }
		for range 1 + rnd.IntN(90) {
			id, err := any().New(t.Context())
			if err != nil || sealed[id] != nil {
				t.Fatalf("key %d, %v", id, err)
			}
			if sealed[id], err = any().Seal(id, []byte{byte(id)}); err != nil {
				t.Fatal(err)
			}
		}
		var doomed []int64
		for id := range sealed {
			if rnd.IntN(4) == 0 { // some of them again
				doomed, gone[id] = append(doomed, id), true
			}
		}
		if err := any().Destroy(t.Context(), doomed...); err != nil {
			t.Fatal(err)
		}
		for id, text := range sealed {
			got, err := any().Open(id, text)
			if errors.Is(err, user.ErrKeyDestroyed) != gone[id] || !gone[id] && (err != nil || got[0] != byte(id)) {
				t.Fatalf("key %d, destroyed %v: %v, %v", id, gone[id], got, err)
			}
		}
		if ids, err := any().Destroyed(t.Context()); err != nil || !slices.Equal(ids, slices.Sorted(maps.Keys(gone))) {
			t.Fatalf("destroyed are %v, %v, and should be %v", ids, err, gone)
		}
	}
}

// TestAMasterKeyThatIsMissingOrAnotherOneIsRefused, and no new one is made in its place.
func TestAMasterKeyThatIsMissingOrAnotherOneIsRefused(t *testing.T) {
	url, master, another := servertest.Postgres(t), newMaster(t), newMaster(t)
	openKeys(t, url, master)
	for what, repair := range map[string]string{"missing": "Copy it", "another": "Copy the right one", "garbled": "Restore it"} {
		switch what {
		case "another":
			openKeys(t, servertest.Postgres(t), another)
		case "garbled":
			if err := os.WriteFile(another, []byte("0123"), 0o600); err != nil {
				t.Fatal(err)
			}
		case "missing":
			_ = os.Remove(another)
		}
		_, err := OpenDatabase(t.Context(), url, another)
		if why, ok := errors.AsType[*Error](err); !ok || !strings.Contains(why.Hint, repair) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := os.Stat(another); what == "missing" && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a master key was made beside keys that it does not open")
		}
	}
}

// TestAKeyThatIsNotAsItWasWrittenIsDamage, and so is one that nobody made.
func TestAKeyThatIsNotAsItWasWrittenIsDamage(t *testing.T) {
	url, master := servertest.Postgres(t), newMaster(t)
	id, err := openKeys(t, url, master).New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range []string{
		"update keys set slot = set_byte(slot, 20, 255 - get_byte(slot, 20)) where id = $1",
		"update keys set slot = (select slot from keys where id = $1 + 1) where id = $1",
		"update keys set slot = 'x' where id = $1", "delete from keys where id = $1",
	} {
		if _, err := conn.Exec(t.Context(), sql, id); err != nil {
			t.Fatal(err)
		}
		d := openKeys(t, url, master)
		for _, keys := range []user.Keys{d, d.InOrder()} {
			_, err := keys.Seal(id, []byte("x"))
			if damage, ok := errors.AsType[*Error](err); !ok || !strings.Contains(damage.Hint, "backup of the keys") {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}
	d := openKeys(t, url, master)
	for _, unknown := range []int64{-1, 0, 1 << 40} {
		if _, err := d.Open(unknown, make([]byte, 40)); err == nil {
			t.Errorf("there is a key %d", unknown)
		}
		if err := d.Destroy(t.Context(), id+1, unknown); err == nil {
			t.Errorf("key %d was destroyed", unknown)
		}
	}
	if gone, err := d.Destroyed(t.Context()); err != nil || len(gone) > 0 {
		t.Errorf("destroyed are %v, %v", gone, err)
	}
}

// TestAReplicaThatCanNotAskUsesNoKey: one in its memory may have been destroyed. It says
// that it is a matter of time.
func TestAReplicaThatCanNotAskUsesNoKey(t *testing.T) {
	address, master := servertest.Postgres(t), newMaster(t)
	d := openKeys(t, address, master)
	id, err := d.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := d.Seal(id, []byte("Ada"))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	admin := *u
	admin.Path = "/postgres"
	conn, err := pgx.Connect(t.Context(), admin.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	name := pgx.Identifier{strings.TrimPrefix(u.Path, "/")}.Sanitize()
	allow := func(yes string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), "alter database "+name+" allow_connections "+yes); err != nil {
			t.Fatal(err)
		}
	}
	allow("false")
	if _, err := conn.Exec(t.Context(), "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", strings.TrimPrefix(u.Path, "/")); err != nil {
		t.Fatal(err)
	}
	for used := true; used; {
		_, err := d.Open(id, sealed)
		if used = err == nil; !used && (!errors.Is(err, user.ErrKeysAway) || !errors.Is(err, eventstore.ErrAway)) {
			t.Fatalf("a key whose database is away: %v", err)
		}
	}
	if err := d.Destroy(t.Context(), id); !errors.Is(err, user.ErrKeysAway) {
		t.Fatalf("destroying says %v", err)
	}
	allow("true")
	for text := []byte(nil); text == nil; {
		if text, err = d.Open(id, sealed); err != nil && !errors.Is(err, user.ErrKeysAway) {
			t.Fatal(err)
		}
	}
}

// TestNoErrorOfTheKeysHoldsThePassword.
func TestNoErrorOfTheKeysHoldsThePassword(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	_ = listener.Close()
	for _, address := range []string{
		"postgres://me:s3cret@127.0.0.1:port/x", "postgres://me:s3cret@%zz/x", "postgres://me:s3cret@" + nobody + "/x",
	} {
		if _, err := OpenDatabase(t.Context(), address, newMaster(t)); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
