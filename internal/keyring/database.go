package keyring

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"ensemble/user"
)

// The tables of keys. A row of keys without a slot is a key that was destroyed; slot 0
// shows whether the master key is the right one. Drawn in docs/format/keys.md.
const tables = `
create table if not exists keys (
	id        bigint primary key,
	slot      bytea,
	destroyed bigint
);
create index if not exists keys_destroyed on keys (destroyed) where destroyed is not null;
create table if not exists destructions (
	one  boolean primary key default true check (one),
	last bigint not null
);
insert into destructions (last) values (0) on conflict do nothing;
create sequence if not exists key_ids;`

// leash is how long a replica uses the keys in its memory without asking whether one was
// destroyed. Destroy waits as long before it returns.
const leash = 250 * time.Millisecond

// answerLimit is how long the database may take for an answer.
const answerLimit = 5 * time.Second

// Database is a keyring whose slots are rows of a Postgres database, for services with
// several replicas. It implements [user.Keys]; its methods may be called concurrently.
//
// It guarantees what a folder of keys does, and across replicas:
//
//   - When Destroy returns, no replica uses the key any more, whatever it has in memory:
//     each asks at least every 250 ms, measured from before it asked, and Destroy waits
//     that long after its commit. A replica that can't ask uses no key.
//   - No two replicas hand out one key.
//   - The master key is in a file beside the program, never in the database; a replica
//     with another one is refused.
//
// What it can't do: the wrapped key of a row that was destroyed lies in the server's
// write-ahead log and in backups for as long as those are kept, and opens with the
// master key. Keep the backups of this database apart from those of the logs, and no
// longer than an erasure may take.
type Database struct {
	pool   *pgxpool.Pool
	name   string // without the password
	master cipher.AEAD
	cache  *lru.Cache[int64, cipher.AEAD]

	mu    sync.Mutex // guards what is handed out
	free  []int64
	block int64

	proving sync.Mutex // guards what was proved
	proved  time.Time  // the cache holds no key that had been destroyed then
	seen    int64      // the last destruction that was looked at
}

// OpenDatabase opens the keys in a database, with the master key in a file. Where there
// are neither keys nor a master key it makes both.
//
// Errors: [Error] when the master key is missing or another one; those of the server.
// None holds the password.
func OpenDatabase(ctx context.Context, address, masterPath string) (*Database, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, errors.New("the URL of the keys can't be read; it should look like postgres://role:password@host:5432/database")
	}
	if config.ConnConfig.ValidateConnect == nil {
		config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	config.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	config.ConnConfig.RuntimeParams["statement_timeout"] = "5s"
	cache, err := lru.New[int64, cipher.AEAD](cached)
	if err != nil {
		return nil, fmt.Errorf("make the cache of keys: %w", err)
	}
	d := &Database{
		cache: cache, block: firstBlock,
		name: fmt.Sprintf("postgres://%s@%s:%d/%s", config.ConnConfig.User, config.ConnConfig.Host, config.ConnConfig.Port, config.ConnConfig.Database),
	}
	if d.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), config); err != nil {
		return nil, fmt.Errorf("open the keys in %s: %w", d.name, err)
	}
	if err := d.open(ctx, masterPath); err != nil {
		d.pool.Close()
		return nil, fmt.Errorf("open the keys in %s: %w", d.name, err)
	}
	return d, nil
}

// open makes the tables if they are missing, and brings master key and slot 0 together,
// while no other replica does.
func (d *Database) open(ctx context.Context, masterPath string) error {
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock(hashtext('ensemble keys'))"); err != nil {
			return err
		}
		var exists bool
		err := tx.QueryRow(ctx, `select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
			where n.nspname = current_schema() and c.relname = 'destructions')`).Scan(&exists)
		if err != nil {
			return err
		}
		if !exists { // a role that serves may be without the right to look again
			if _, err := tx.Exec(ctx, tables); err != nil {
				return err
			}
		}
		var head []byte
		err = tx.QueryRow(ctx, "select slot from keys where id = 0").Scan(&head)
		if errors.Is(err, pgx.ErrNoRows) {
			return d.create(ctx, tx, masterPath)
		}
		if err != nil {
			return err
		}
		return d.check(head, masterPath)
	})
}

// create writes slot 0, of a master key that it makes if there is none.
func (d *Database) create(ctx context.Context, tx pgx.Tx, masterPath string) error {
	secret, err := readMaster(masterPath)
	isNew := errors.Is(err, os.ErrNotExist)
	if isNew {
		secret = make([]byte, masterLen)
		_, err = rand.Read(secret)
	}
	if err != nil {
		return err
	}
	if d.master, err = newAEAD(secret); err != nil {
		return err
	}
	slot, err := headSlot(d.master)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "insert into keys (id, slot) values (0, $1)", slot[:]); err != nil || !isNew {
		return err
	}
	// Before the commit: a master key that wraps nothing does no harm, a slot 0 whose
	// master key was lost does.
	return writeMaster(masterPath, secret)
}

// check reads the master key, which has to be the one that made slot 0.
func (d *Database) check(head []byte, masterPath string) error {
	secret, err := readMaster(masterPath)
	if errors.Is(err, os.ErrNotExist) {
		return &Error{Path: masterPath, Reason: "it is missing, but there are keys wrapped by it", Hint: "Copy it from another replica or from its backup"}
	}
	if err != nil {
		return err
	}
	if d.master, err = newAEAD(secret); err != nil {
		return err
	}
	if len(head) != slotLen || checkHead(d.master, (*[slotLen]byte)(head)) != nil {
		return &Error{Path: masterPath, Reason: "the keys in " + d.name + " were wrapped by another master key", Hint: "Copy the right one from another replica or from its backup"}
	}
	return nil
}

// New returns the id of a key that nobody has. It is in the database.
func (d *Database) New(ctx context.Context) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.free) == 0 {
		if err := d.extend(ctx); err != nil {
			return 0, d.away("make keys", err)
		}
	}
	id := d.free[0]
	d.free = d.free[1:]
	return id, nil
}

// extend makes a block of keys, which no other replica hands out.
func (d *Database) extend(ctx context.Context) error {
	rows, err := d.pool.Query(ctx, "select nextval('key_ids') from generate_series(1, $1)", d.block)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	slots := make([][]byte, len(ids))
	for i, id := range ids {
		slot, err := newSlot(d.master, id)
		if err != nil {
			return err
		}
		slots[i] = slot[:]
	}
	if _, err := d.pool.Exec(ctx, "insert into keys (id, slot) select * from unnest($1::bigint[], $2::bytea[])", ids, slots); err != nil {
		return err
	}
	for i, id := range ids { // each is about to be used
		aead, err := d.unwrap(id, slots[i])
		if err != nil {
			return err
		}
		d.cache.Add(id, aead)
	}
	d.free = ids
	d.block = min(2*d.block, lastBlock)
	return nil
}

// Seal encrypts a text with a key. Two calls give different results.
//
// Errors: [user.ErrKeyDestroyed], [user.ErrKeysAway], [Error].
func (d *Database) Seal(id int64, plain []byte) ([]byte, error) {
	aead, err := d.key(id)
	if err != nil {
		return nil, err
	}
	return sealWith(aead, id, plain)
}

// Open decrypts what Seal has made with the same key.
//
// Errors: [user.ErrKeyDestroyed], [user.ErrKeysAway], [Error].
func (d *Database) Open(id int64, sealed []byte) ([]byte, error) {
	aead, err := d.key(id)
	if err != nil {
		return nil, err
	}
	plain, err := openWith(aead, id, sealed)
	if err != nil {
		return nil, d.damaged(id, err.Error())
	}
	return plain, nil
}

// key returns an unwrapped key that was not destroyed a leash ago.
func (d *Database) key(id int64) (cipher.AEAD, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	d.proving.Lock()
	defer d.proving.Unlock()
	if err := d.prove(ctx); err != nil {
		return nil, d.away("ask which keys were destroyed", err)
	}
	if aead, ok := d.cache.Get(id); ok {
		return aead, nil
	}
	var slot []byte
	err := pgx.ErrNoRows
	if id > 0 {
		err = d.pool.QueryRow(ctx, "select slot from keys where id = $1", id).Scan(&slot)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, d.damaged(id, "there is no such key")
	}
	if err != nil {
		return nil, d.away("read a key", err)
	}
	aead, err := d.unwrap(id, slot)
	if err == nil {
		d.cache.Add(id, aead)
	}
	return aead, err
}

// prove takes the keys that were destroyed out of the cache, unless it is not long ago
// that it has. One question is about all keys.
func (d *Database) prove(ctx context.Context) error {
	began := time.Now()
	if began.Sub(d.proved) < leash {
		return nil
	}
	rows, err := d.pool.Query(ctx, "select id, destroyed from keys where destroyed > $1 order by destroyed", d.seen)
	if err != nil {
		return err
	}
	var id, destroyed int64
	_, err = pgx.ForEachRow(rows, []any{&id, &destroyed}, func() error {
		d.cache.Remove(id)
		d.seen = destroyed
		return nil
	})
	if err == nil {
		d.proved = began
	}
	return err
}

// unwrap returns the key in a slot.
func (d *Database) unwrap(id int64, slot []byte) (cipher.AEAD, error) {
	if slot == nil {
		return nil, fmt.Errorf("key %d: %w", id, user.ErrKeyDestroyed)
	}
	if len(slot) != slotLen {
		return nil, d.damaged(id, fmt.Sprintf("it has %d bytes", len(slot)))
	}
	secret, err := openSlot(d.master, id, (*[slotLen]byte)(slot))
	if err != nil {
		return nil, d.damaged(id, err.Error())
	}
	return newAEAD(secret)
}

// Destroy makes keys, and all that was sealed with them, unreadable for ever, on every
// replica. It is done when it returns. Destroying a key twice is no error; if one of the
// keys does not exist, none is destroyed.
func (d *Database) Destroy(ctx context.Context, ids ...int64) error {
	if len(ids) == 0 {
		return ctx.Err()
	}
	err := pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		// The row stays locked until the commit, so destructions are numbered in its order.
		var number, there int64
		if err := tx.QueryRow(ctx, "update destructions set last = last + 1 returning last").Scan(&number); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, "select count(*) from keys where id > 0 and id = any($1)", ids).Scan(&there)
		if err != nil {
			return err
		}
		if there != distinct(ids) {
			return d.damaged(ids[0], "it, or another that was named, is not there")
		}
		_, err = tx.Exec(ctx, "update keys set slot = null, destroyed = $2 where id = any($1) and slot is not null", ids, number)
		return err
	})
	if err != nil {
		if own, ok := errors.AsType[*Error](err); ok {
			return own
		}
		return d.away("destroy keys", err)
	}
	d.proving.Lock()
	d.proved = time.Time{} // this replica asks at its next use
	d.proving.Unlock()
	// The others may have asked right before. It is done when they have asked again, also
	// if nobody waits for it any more.
	time.Sleep(leash)
	return nil
}

// distinct counts the ids, each once.
func distinct(ids []int64) int64 {
	once := map[int64]struct{}{}
	for _, id := range ids {
		once[id] = struct{}{}
	}
	return int64(len(once))
}

// Destroyed returns the keys that were destroyed, ascending.
func (d *Database) Destroyed(ctx context.Context) ([]int64, error) {
	rows, err := d.pool.Query(ctx, "select id from keys where destroyed is not null order by id")
	if err != nil {
		return nil, d.away("look for destroyed keys", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, d.away("look for destroyed keys", err)
	}
	return ids, nil
}

// Empty says whether no key was ever made. A log that holds names and keys that are empty
// do not belong together.
func (d *Database) Empty(ctx context.Context) (empty bool, err error) {
	if err := d.pool.QueryRow(ctx, "select not exists (select from keys where id > 0)").Scan(&empty); err != nil {
		return false, d.away("look for keys", err)
	}
	return empty, nil
}

// InOrder returns the same keys for one goroutine that goes through many of them, with
// ids that mostly ascend: it reads 4,096 slots at once. A key that is destroyed
// meanwhile may work until those are used up.
func (d *Database) InOrder() user.Keys { return &databaseInOrder{Database: d} }

// Close closes the connections.
func (d *Database) Close() error {
	d.pool.Close()
	return nil
}

// away returns the error for a database that did not answer.
func (d *Database) away(what string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %s in %s: %w", user.ErrKeysAway, what, d.name, err)
}

// damaged returns the error for a key that can not be used.
func (d *Database) damaged(id int64, reason string) error {
	return &Error{
		Path: d.name, Reason: fmt.Sprintf("key %d: %s", id, reason),
		Hint: "Restore the database from the backup of the keys",
	}
}

// databaseInOrder reads ahead.
type databaseInOrder struct {
	*Database
	first, last int64 // the slots that were read are those of these keys
	slots       map[int64][]byte
}

// Seal implements [user.Keys].
func (o *databaseInOrder) Seal(id int64, plain []byte) ([]byte, error) {
	aead, err := o.key(id)
	if err != nil {
		return nil, err
	}
	return sealWith(aead, id, plain)
}

// Open implements [user.Keys].
func (o *databaseInOrder) Open(id int64, sealed []byte) ([]byte, error) {
	aead, err := o.key(id)
	if err != nil {
		return nil, err
	}
	plain, err := openWith(aead, id, sealed)
	if err != nil {
		return nil, o.damaged(id, err.Error())
	}
	return plain, nil
}

// key returns an unwrapped key.
func (o *databaseInOrder) key(id int64) (cipher.AEAD, error) {
	if id < o.first || id > o.last || o.slots == nil {
		ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
		defer cancel()
		rows, err := o.pool.Query(ctx, "select id, slot from keys where id between $1 and $2", id, id+ahead-1)
		if err != nil {
			return nil, o.away("read keys", err)
		}
		slots := map[int64][]byte{}
		var key int64
		var slot []byte
		_, err = pgx.ForEachRow(rows, []any{&key, &slot}, func() error {
			slots[key] = append([]byte(nil), slot...)
			if slot == nil {
				slots[key] = nil
			}
			return nil
		})
		if err != nil {
			return nil, o.away("read keys", err)
		}
		o.first, o.last, o.slots = id, id+ahead-1, slots
	}
	slot, there := o.slots[id]
	if !there || id < 1 {
		return nil, o.damaged(id, "there is no such key")
	}
	return o.unwrap(id, slot)
}
