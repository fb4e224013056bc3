package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
)

// balances is a view: how much each account holds.
type balances struct{}

// Tables implements eventstore.View.
func (balances) Tables() []eventstore.Table {
	return []eventstore.Table{{Name: "balances", Columns: []eventstore.Column{
		{Name: "account", Type: eventstore.IntColumn},
		{Name: "balance", Type: eventstore.IntColumn},
	}}}
}

// Rows implements eventstore.View. Each event says what the balance is afterwards.
func (balances) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	account, err := strconv.ParseInt(e.Stream.ID, 10, 64)
	if err != nil {
		return nil, err
	}
	balance, err := strconv.ParseInt(string(e.Data), 10, 64)
	return []eventstore.Row{{Table: "balances", Values: []eventstore.Value{
		eventstore.Int(account), eventstore.Int(balance),
	}}}, err
}

// The view of a log is made anew while commands go on.
func ExampleLog_Rebuild() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	log, err := sqlite.Open(ctx, filepath.Join(dir, "account.db"), sqlite.Options{Views: []eventstore.View{balances{}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	store, err := eventstore.Open(ctx, log, eventstore.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	for _, balance := range []string{"100", "70", "85"} {
		_, err := store.Append(ctx, eventstore.Write{
			Stream:   eventstore.Stream{Category: "account", ID: "7"},
			Expected: eventstore.Any,
			Events:   []eventstore.NewEvent{{Type: "BalanceChanged", Data: []byte(balance)}},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	found, err := log.Rebuild(ctx, eventstore.Rebuild{
		Between: store.Between,
		Progress: func(done, total eventstore.Position) {
			fmt.Printf("%d of %d events\n", done, total)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range found.Tables {
		fmt.Printf("%s: %d rows, %d had been wrong\n", t.Name, t.Rows, t.Differ)
	}
	// Output:
	// 3 of 3 events
	// balances: 1 rows, 0 had been wrong
}
