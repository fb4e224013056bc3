package sqlite

import (
	"context"
	"math"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
)

// compareRows is how many rows of each generation are compared in one snapshot.
const compareRows = 1000

// compare compares the two generations of every table, page by page. Each page is
// read in one snapshot, in which both are at the same position, and from then on
// each commit changes both in the same way. So what is equal stays equal, and no
// commit has to wait.
func (r *rebuild) compare(ctx context.Context) error {
	for _, name := range r.log.views.sorted() {
		c, t := eventstore.NewComparison(compareRows), r.log.views.tables[name]
		for after := int64(math.MinInt64); after < math.MaxInt64; {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := r.log.readers.read(ctx, func(conn *sqlite.Conn) (err error) {
				after, err = comparePage(conn, t, c, after, compareRows)
				return err
			})
			if err != nil {
				return r.log.classify(err)
			}
		}
		r.found.Tables = append(r.found.Tables, c.Result(name))
	}
	return nil
}

// comparePage compares the rows above a key, as far as one page goes, and returns up
// to which key; MaxInt64 when there are no more.
func comparePage(conn *sqlite.Conn, t *table, c *eventstore.Comparison, after int64, size int) (until int64, err error) {
	end := sqlitex.Transaction(conn)
	defer end(&err)
	var rows [2][][]eventstore.Value // blue and green
	for i := range rows {
		err := query(conn, t.page[i], func(s *sqlite.Stmt) error {
			rows[i] = append(rows[i], t.row(s))
			return nil
		}, after, int64(size))
		if err != nil {
			return after, err
		}
	}
	return c.Page(rows[0], rows[1]), nil
}
