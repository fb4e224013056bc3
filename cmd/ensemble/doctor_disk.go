package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	scarce  = 1 << 30   // bytes free that are soon used up
	tooFew  = 100 << 20 // bytes free that are as good as none
	slow    = 50 * time.Millisecond
	syncs   = 16
	oneSync = 4096 // bytes
)

// The limits are rough on purpose. A full disk refuses commands and recovers when there
// is room, so the first limit is for looking around in time and the second for acting.

// volume is where a folder lies.
type volume struct {
	free uint64 // bytes for us
	kind string // of the file system; "" if nobody tells
}

// checkDisk looks at the room, the file system, and how long a sync takes.
func (e *examination) checkDisk(_ context.Context, f *findings) {
	dir, err := existing(e.flags.Data)
	if err != nil {
		f.add(problem, "Choose another folder with --data.", "%v", err)
		return
	}
	if v, err := volumeOf(dir); err != nil {
		f.add(hint, "Look at it with the tools of your system.", "the file system of %s can't be looked at: %v", dir, err)
	} else {
		checkVolume(f, dir, v)
	}
	took, err := syncTime(dir)
	if err != nil {
		f.add(problem, "Make the folder writable for the user that runs Ensemble, or choose another with --data.", "nothing can be written in %s: %v", dir, err)
		return
	}
	checkSync(f, took)
}

// existing returns the folder, or the nearest one above that is there.
func existing(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		info, err := os.Stat(dir)
		switch {
		case err == nil && info.IsDir():
			return dir, nil
		case err == nil:
			return "", fmt.Errorf("%s is no folder", dir)
		case !errors.Is(err, os.ErrNotExist):
			return "", err
		case filepath.Dir(dir) == dir:
			return "", err
		}
		dir = filepath.Dir(dir)
	}
}

// checkVolume judges the room and the kind of a file system.
func checkVolume(f *findings, dir string, v volume) {
	gib := float64(v.free) / (1 << 30)
	switch {
	case v.free < tooFew:
		f.add(problem, "Make room: a full disk refuses every command until there is some.", "%.2f GiB are free for %s", gib, dir)
	case v.free < scarce:
		f.add(hint, "Make room before it is full: commands are refused then.", "%.2f GiB are free for %s", gib, dir)
	default:
		f.ok("%.1f GiB are free for %s", gib, dir)
	}
	switch v.kind {
	case "tmpfs", "ramfs":
		f.add(problem, "Choose a folder on a disk with --data.", "%s is in memory (%s): everything is gone after a restart of the machine", dir, v.kind)
	case "nfs", "smb", "cifs", "9p", "fuse":
		f.add(hint, "Prefer a local disk: the locks and syncs of a share may not be what SQLite needs.", "%s is, or may be, on a network (%s)", dir, v.kind)
	case "overlay":
		f.add(hint, "Mount a volume there if the container is to be replaced.", "%s is in the layer of a container (overlay), and goes with it", dir)
	case "":
	default:
		f.ok("the file system is %s", v.kind)
	}
}

// The median is taken, not the mean: one sync that met another program's would make a
// good disk look bad. The blocks are of the size of a page of the write-ahead log, of
// which a small commit writes one or two.

// syncTime returns the median time of a write that is synced. It makes a file in the
// folder, and removes it.
func syncTime(dir string) (median time.Duration, err error) {
	file, err := os.CreateTemp(dir, ".ensemble-doctor-*")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	times := make([]time.Duration, syncs)
	block := make([]byte, oneSync)
	for i := range times {
		begun := time.Now()
		if _, err := file.Write(block); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		times[i] = time.Since(begun)
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

// lies is a sync that no disk can do, nor flash with its own power.
const lies = 5 * time.Microsecond

// checkSync judges how long a sync takes.
func checkSync(f *findings, took time.Duration) {
	shown := took.Round(time.Microsecond)
	switch {
	case took > slow:
		f.add(hint, "Use a faster disk, or one that is not shared: every command waits for a sync.", "a sync takes %s", shown)
	case took < lies:
		f.add(hint, "Make sure that the disk does not lie: what it calls synced has to survive a power failure.", "a sync takes %s, less than any disk needs", took)
	default:
		f.ok("a sync takes %s", shown)
	}
}
