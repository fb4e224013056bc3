package transfer

import (
	"strconv"
)

// directory knows who is called what in the files, and their ids in the target
// where they have one.
type directory struct {
	index    map[string]int32 // by the id of the files
	external []string         // ids of the files
	ids      []int64          // ids in the target, 0 before they are created
	listed   []bool           // in the file of people
	// target: there is neither a file of people nor a map, so that ids of the files
	// are those of the target.
	target bool
}

// newDirectory returns an empty directory.
func newDirectory() *directory { return &directory{index: map[string]int32{}} }

// add returns the place of somebody, and whether they are new.
func (d *directory) add(external string) (who int32, isNew bool) {
	if who, ok := d.index[external]; ok {
		return who, false
	}
	who = int32(len(d.external)) // 100 bytes each: memory ends before the numbers do
	d.index[external] = who
	d.external = append(d.external, external)
	d.ids = append(d.ids, 0)
	d.listed = append(d.listed, false)
	return who, true
}

// find returns the place of somebody who is known.
func (d *directory) find(external string) (who int32, ok bool) {
	who, ok = d.index[external]
	return who, ok
}

// person returns the place of a friend. Where ids are those of the target, everybody
// who could be there is known.
func (d *directory) person(external string) (who int32, ok bool) {
	if who, ok := d.find(external); ok || !d.target {
		return who, ok
	}
	id, err := strconv.ParseInt(external, 10, 64)
	if err != nil || id < 1 || strconv.FormatInt(id, 10) != external {
		return 0, false
	}
	who, _ = d.add(external)
	d.ids[who] = id
	return who, true
}
