package transfer

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"ensemble/client"
	"ensemble/wire"
)

// Format is how exported files are written.
type Format string

// The formats; Import reads both.
const (
	CSV    Format = "csv"
	NDJSON Format = "ndjson"
)

// Exported is how much an export has written.
type Exported struct{ People, Friendships int }

// Export writes everybody and every friendship of a running system to two files,
// people by id and friendships by their row. Names are personal data: the files are
// for their owner only (mode 0600). A file appears whole or not at all, and never in
// place of another one. What is changed while it is exported may or may not be in the
// files.
//
// Errors: os.ErrExist; those of the target, after attempts of about 40 seconds; of
// the files; of the context.
func Export(ctx context.Context, peoplePath, friendsPath string, format Format, o Options) (e Exported, err error) {
	o.defaults()
	for _, path := range []string{peoplePath, friendsPath} {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			return Exported{}, cmp.Or(err, fmt.Errorf("%s: %w", path, os.ErrExist))
		}
	}
	var ids []int64
	err = create(peoplePath, format, []string{"id", "firstName", "lastName"}, func(w *recordWriter) error {
		return o.everybody(ctx, func(u wire.User) error {
			ids = append(ids, u.ID)
			o.Progress("people", len(ids), -1)
			return w.write(u.ID, u.FirstName, u.LastName)
		})
	})
	if err != nil {
		return Exported{}, err
	}
	e.People = len(ids)
	var friends []wire.Friend
	if friends, err = o.everyFriendship(ctx, ids); err != nil {
		return e, err
	}
	e.Friendships = len(friends)
	return e, create(friendsPath, format, []string{"userId", "friendId"}, func(w *recordWriter) error {
		for _, f := range friends {
			if err := w.write(f.UserID, f.FriendID); err != nil {
				return err
			}
		}
		return nil
	})
}

// everybody calls do with every person, by id, page by page.
func (o *Options) everybody(ctx context.Context, do func(wire.User) error) error {
	for next, first := "", true; first || next != ""; first = false {
		page, err := o.page(ctx, next, o.Page)
		if err != nil {
			return err
		}
		if first && page.Next == "" && len(page.Users) >= o.Page {
			// Exactly one page, or a target that knows no pages and cuts the list.
			if more, err := o.page(ctx, "", o.Page+1); err != nil || len(more.Users) > o.Page {
				return cmp.Or(err, errors.New("the target cuts the list of people without saying where it goes on; it can't be exported"))
			}
		}
		for _, u := range page.Users {
			if err := do(u); err != nil {
				return err
			}
		}
		next = page.Next
	}
	return nil
}

// page returns a part of the list of people.
func (o *Options) page(ctx context.Context, next string, limit int) (page client.UsersPage, err error) {
	err = client.Persist(ctx, func(ctx context.Context) (err error) {
		page, err = o.Client.UsersPage(ctx, next, limit)
		return err
	}, nil)
	if err != nil {
		err = fmt.Errorf("list people: %w", err)
	}
	return page, err
}

// everyFriendship returns every friendship once, as who began it sees it, by row. It
// asks each person for those that they began: nobody else is asked for the same one,
// and what is removed meanwhile is missed, never doubled. The rows are what gives the
// file the same order whoever is answered first.
func (o *Options) everyFriendship(ctx context.Context, ids []int64) ([]wire.Friend, error) {
	var mu sync.Mutex
	var all []wire.Friend
	err := o.all(ctx, "friendships", len(ids), func(ctx context.Context, n int) error {
		var friends []wire.Friend
		err := client.Persist(ctx, func(ctx context.Context) (err error) {
			friends, err = o.Client.FriendsBegun(ctx, ids[n])
			return err
		}, nil)
		if err != nil {
			return fmt.Errorf("of user %d: %w", ids[n], err)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, friends...)
		return nil
	})
	slices.SortFunc(all, func(a, b wire.Friend) int { return cmp.Compare(a.ID, b.ID) })
	return all, err
}

// create writes a file of records, whole or not at all. The file beside it, which a
// kill leaves behind, has a name that begins with a dot and is as private.
func create(path string, format Format, columns []string, fill func(*recordWriter) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		_ = os.Remove(file.Name()) // gone already if all went well
	}()
	w := &recordWriter{format: format, columns: columns, out: bufio.NewWriterSize(file, 1<<16)}
	w.csv = csv.NewWriter(w.out)
	if err = w.head(); err == nil {
		if err = fill(w); err == nil {
			err = w.flush()
		}
	}
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	// A link, unlike a rename, does not replace what has appeared in the meantime.
	if err := os.Link(file.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// recordWriter writes records as CSV or NDJSON. It is for one file and one goroutine.
type recordWriter struct {
	format  Format
	columns []string
	out     *bufio.Writer
	csv     *csv.Writer
}

// head writes the names of the columns, where they stand once.
func (w *recordWriter) head() error {
	if w.format == CSV {
		return w.csv.Write(w.columns)
	}
	return nil
}

// write writes a record of whole numbers and strings.
func (w *recordWriter) write(values ...any) error {
	if w.format == CSV {
		fields := make([]string, len(values))
		for i, v := range values {
			if n, ok := v.(int64); ok {
				fields[i] = strconv.FormatInt(n, 10)
			} else {
				fields[i], _ = v.(string)
			}
		}
		return w.csv.Write(fields)
	}
	for i, v := range values {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(w.out, `%c"%s":%s`, "{,"[min(i, 1)], w.columns[i], text) // Flush tells
	}
	_, err := io.WriteString(w.out, "}\n")
	return err
}

// flush writes what is still in memory.
func (w *recordWriter) flush() error {
	w.csv.Flush()
	return errors.Join(w.csv.Error(), w.out.Flush())
}
