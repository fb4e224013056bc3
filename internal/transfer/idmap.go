package transfer

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
)

// ErrMap means that a map does not belong to what is imported.
var ErrMap = errors.New("the map does not fit")

// The comments at the head of a map, drawn in docs/format/transfer.md.
const (
	mapPeople = "# people sha256 " // the file of people
	mapLog    = "# log "           // the log of the target; absent for other systems
)

// idMap is the file in which the ids that people were given are noted.
type idMap struct {
	people string // SHA-256 of the file of people; "" before it is known
	log    string // of the target

	mu    sync.Mutex
	file  *os.File // nil until something is to be noted
	path  string
	begun bool // the head is written
	named bool // the names of the columns were read
}

// readMap reads a map into the directory. A map that is not there is an empty one.
// The last line may be torn: who it meant is asked for again.
func readMap(path string, dir *directory) (*idMap, error) {
	m := &idMap{path: path}
	text, err := os.ReadFile(path) //nolint:gosec // the operator's file
	if errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, err
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		if err := m.line(lines.Text(), dir); err != nil {
			return nil, fmt.Errorf("%w: %s:%d: %w", ErrMap, path, n, err)
		}
	}
	m.begun = m.named // a head that is torn is written once more
	return m, lines.Err()
}

// line takes in one line.
func (m *idMap) line(text string, dir *directory) error {
	if sum, ok := strings.CutPrefix(text, mapPeople); ok {
		m.people = sum
		return nil
	}
	if log, ok := strings.CutPrefix(text, mapLog); ok {
		m.log = log
		return nil
	}
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil || len(fields) != 2 {
		return errors.New("want externalId,userId")
	}
	if !m.named {
		m.named = true
		if fields[0] != "externalId" {
			return errors.New("want the header externalId,userId")
		}
		return nil
	}
	id, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil || id < 1 {
		return fmt.Errorf("%q is not a user id", fields[1])
	}
	who, isNew := dir.add(fields[0])
	if !isNew && dir.ids[who] != id {
		return fmt.Errorf("%q stands there with two ids", fields[0])
	}
	dir.ids[who] = id
	return nil
}

// open opens the file for notes, and takes a torn last line away. Two imports at once
// note the same ids, as their keys are the same; neither writes over the other.
func (m *idMap) open() error {
	file, err := os.OpenFile(m.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	m.file = file
	text, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	return file.Truncate(int64(bytes.LastIndexByte(text, '\n') + 1))
}

// note writes down who was given which id. A kill of this process loses nothing
// that was noted; what a crash of the machine loses, the idempotency keys make good.
func (m *idMap) note(external string, id int64, log string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b bytes.Buffer
	if !m.begun {
		b.WriteString(mapPeople + m.people + "\n")
		if log != "" {
			b.WriteString(mapLog + log + "\n")
		}
		b.WriteString("externalId,userId\n")
		m.begun, m.log = true, log
	}
	if m.log != log {
		return fmt.Errorf("%w: people were created in log %q, and now in %q", ErrMap, m.log, log)
	}
	if strings.HasPrefix(external, "#") { // quoted, or it would read as a part of the head
		fmt.Fprintf(&b, "\"%s\",%d\n", strings.ReplaceAll(external, `"`, `""`), id)
	} else {
		w := csv.NewWriter(&b)
		_ = w.Write([]string{external, strconv.FormatInt(id, 10)}) // a Buffer takes everything
		w.Flush()
	}
	_, err := m.file.Write(b.Bytes())
	return err
}

// close makes the notes durable.
func (m *idMap) close() error {
	if m.file == nil {
		return nil
	}
	return errors.Join(m.file.Sync(), m.file.Close())
}
