package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"ensemble/eventstore/sqlite"
	"ensemble/friend"
	"ensemble/user"
)

// backupCmd copies the logs into one file. One file, and not one a log, because the two
// belong together: friendships without their people, or with other people of the same
// ids, are worse than no backup.
type backupCmd struct {
	File string `arg:"" type:"path" help:"The file to make; one that is there is not overwritten."`
	Data string `default:"./ensemble-data" type:"path" help:"Folder with the data; the system may be running."`
	Log  string `enum:"user,friend,both" default:"both" help:"Which log: user, friend or both (${default})."`
}

// Help implements kong's HelpProvider.
func (backupCmd) Help() string {
	return `Copies the logs as they are at this moment, while commands go on, checks the copy,
and seals it. The file is a tar archive of SQLite files. It holds no read models, in
which names stand open, and not the keys, without which the names in it can't be read:
'ensemble keys backup' copies those. Keep the two apart, for who has both can read
every name.`
}

// Run makes the backup and says what is in it.
func (c *backupCmd) Run(ctx context.Context, con *console) (err error) {
	// Friendships first: the people that they speak of are in the backup then.
	names := []string{friend.Category, user.Category}
	if c.Log != "both" {
		names = []string{c.Log}
	}
	r, err := openReading(ctx, c.Data, names...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	logs := make([]*sqlite.Log, len(r.open))
	for i, l := range r.open {
		logs[i] = l.log
	}
	bar := &steps{con: con}
	m, err := sqlite.Backup(ctx, c.File, "ensemble "+version(), logs, bar.move)
	bar.finish()
	if err != nil {
		return err
	}
	if err := con.describe(m); err != nil {
		return err
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.out, "%s: %d bytes, checked. The keys are not in it: 'ensemble keys backup' copies them, without which nobody can read its names.\n",
		c.File, info.Size())
	return err
}

// describe says what is in a backup.
func (c *console) describe(m sqlite.Manifest) error {
	for _, l := range m.Logs {
		last := "empty"
		if l.Position > 0 {
			last = "the last of " + l.Time.Format("2006-01-02 15:04:05 MST")
		}
		if _, err := fmt.Fprintf(c.out, "%s: %d events, %s, of log %s\n",
			l.Name, l.Position, last, l.Lineage[len(l.Lineage)-1].UUID); err != nil {
			return err
		}
	}
	return nil
}

// steps shows work that has several parts, one bar after the other. A part begins when
// its name is first heard of, and ends when the next one begins.
type steps struct {
	con *console
	bar *progress
}

// move moves the bar of a part, or begins it.
func (s *steps) move(what string, done, total int64) {
	if s.bar == nil || s.bar.title != what {
		s.finish()
		s.bar = newProgress(s.con.err, what)
	}
	s.bar.move(done, total)
}

// finish takes the last bar away.
func (s *steps) finish() {
	if s.bar != nil {
		s.bar.finish()
	}
}
