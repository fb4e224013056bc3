package sqlite

import (
	"context"
	"math"
	"slices"

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
		c := comparison{table: r.log.views.tables[name], content: eventstore.NewContent(), size: compareRows}
		for after := int64(math.MinInt64); after < math.MaxInt64; {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := r.log.readers.read(ctx, func(conn *sqlite.Conn) (err error) {
				after, err = c.page(conn, after)
				return err
			})
			if err != nil {
				return r.log.classify(err)
			}
		}
		r.found.Tables = append(r.found.Tables, eventstore.RebuiltTable{
			Name: name, Rows: c.content.Rows(), Differ: c.differ, Hash: c.content.Sum(),
		})
	}
	return nil
}

// comparison compares the generations of one table.
type comparison struct {
	table   *table
	content *eventstore.Content // of the green generation
	differ  int64
	size    int // rows of each generation in a page
}

// page compares the rows above a key, as far as one page goes, and returns up to
// which key; MaxInt64 when there are no more.
func (c *comparison) page(conn *sqlite.Conn, after int64) (until int64, err error) {
	end := sqlitex.Transaction(conn)
	defer end(&err)
	var rows [2][][]eventstore.Value // blue and green
	until = math.MaxInt64
	for i := range rows {
		err := query(conn, c.table.page[i], func(s *sqlite.Stmt) error {
			rows[i] = append(rows[i], c.table.row(s))
			return nil
		}, after, int64(c.size))
		if err != nil {
			return after, err
		}
		if n := len(rows[i]); n == c.size {
			until = min(until, rows[i][n-1][0].Int())
		}
	}
	c.merge(upTo(rows[0], until), upTo(rows[1], until))
	return until, nil
}

// upTo returns the rows whose key is not above a bound.
func upTo(rows [][]eventstore.Value, bound int64) [][]eventstore.Value {
	n := len(rows)
	for n > 0 && rows[n-1][0].Int() > bound {
		n--
	}
	return rows[:n]
}

// merge counts the rows that are not the same in both generations.
func (c *comparison) merge(blue, green [][]eventstore.Value) {
	for len(blue)+len(green) > 0 {
		switch {
		case len(green) == 0 || len(blue) > 0 && blue[0][0].Int() < green[0][0].Int():
			c.differ++
			blue = blue[1:]
			continue
		case len(blue) == 0 || green[0][0].Int() < blue[0][0].Int():
			c.differ++
		default:
			if !slices.Equal(blue[0], green[0]) {
				c.differ++
			}
			blue = blue[1:]
		}
		c.content.Add(green[0])
		green = green[1:]
	}
}
