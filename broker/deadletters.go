package broker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// The errors of dead letters on which a caller decides.
var (
	ErrNoLetter    = errors.New("there is no such dead letter")
	ErrLettersFull = errors.New("there are as many dead letters as may be kept; retry or discard some")
)

// maxLetters is how many dead letters are kept, maxLetter how long one may be in the
// file.
const (
	maxLetters = 10_000
	maxLetter  = 16 << 20
)

// Letter is a foreign record that could not be read.
type Letter struct {
	ID      string    `json:"id"` // topic, partition, offset: user-0-17
	Topic   string    `json:"topic"`
	Record  Record    `json:"record"`
	Reason  string    `json:"reason"`
	Added   time.Time `json:"added"`
	Settled string    `json:"settled,omitempty"` // why it is no dead letter any more
}

// DeadLetters keeps the records of a consumer that could not be read, until somebody
// decides on them. They lie in a file of the consumer, one JSON object a line, to which is
// appended; what was decided is another line with the same ID. A record that comes again
// is kept once. It is safe for concurrent use.
type DeadLetters struct {
	mu      sync.Mutex
	file    *os.File        // nil: only in memory
	letters []Letter        // those nobody has decided on, oldest first
	settled map[string]bool // by ID, of all that were ever kept: whether it was decided on
}

// OpenDeadLetters reads the dead letters of a file, which is made when there is the
// first one to keep; "" keeps them in memory.
//
// Errors: those of the file. A last line that was cut off is none: it was never said to
// be kept.
func OpenDeadLetters(path string) (*DeadLetters, error) {
	d := &DeadLetters{settled: map[string]bool{}}
	if path == "" {
		return d, nil
	}
	data, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the dead letters: %w", err)
	}
	whole := bytes.LastIndexByte(data, '\n') + 1
	if err := d.read(path, data[:whole]); err != nil {
		return nil, err
	}
	if d.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600); err != nil { //nolint:gosec // the same
		return nil, fmt.Errorf("open the dead letters: %w", err)
	}
	if err := d.file.Truncate(int64(whole)); err != nil {
		return nil, errors.Join(fmt.Errorf("cut the last line of the dead letters off: %w", err), d.file.Close())
	}
	if _, err := d.file.Seek(int64(whole), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("open the dead letters: %w", err), d.file.Close())
	}
	return d, nil
}

// read takes the lines of a file in.
func (d *DeadLetters) read(path string, data []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxLetter)
	for n := 1; lines.Scan(); n++ {
		var l Letter
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("line %d of %s is no dead letter: %w; take it out, or move the file away", n, path, err)
		}
		d.apply(l)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the dead letters of %s: %w", path, err)
	}
	return nil
}

// apply takes a line in.
func (d *DeadLetters) apply(l Letter) {
	settled, known := d.settled[l.ID]
	switch {
	case l.Settled == "" && !known:
		d.settled[l.ID] = false
		d.letters = append(d.letters, l)
	case l.Settled != "" && known && !settled:
		i := d.find(l.ID)
		d.letters = slices.Delete(d.letters, i, i+1)
		d.settled[l.ID] = true
	}
}

// find returns where a letter is, -1 if nowhere.
func (d *DeadLetters) find(id string) int {
	return slices.IndexFunc(d.letters, func(l Letter) bool { return l.ID == id })
}

// add keeps a record, unless it is kept or was decided on.
//
// Errors: [ErrLettersFull], those of the file.
func (d *DeadLetters) add(topic string, r *Record, reason error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := topic + "-" + strconv.Itoa(int(r.Partition)) + "-" + strconv.FormatInt(r.Offset, 10)
	if _, known := d.settled[id]; known {
		return nil
	}
	if len(d.letters) >= maxLetters {
		return fmt.Errorf("%s: %w", id, ErrLettersFull)
	}
	return d.write(Letter{ID: id, Topic: topic, Record: *r, Reason: reason.Error(), Added: time.Now().UTC()})
}

// write makes a line durable, then takes it in.
func (d *DeadLetters) write(l Letter) error {
	if d.file != nil {
		line, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("write a dead letter: %w", err)
		}
		if _, err := d.file.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("write a dead letter: %w", err)
		}
		if err := d.file.Sync(); err != nil {
			return fmt.Errorf("write a dead letter: %w", err)
		}
	}
	d.apply(l)
	return nil
}

// List returns the letters that nobody has decided on, oldest first.
func (d *DeadLetters) List() []Letter {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.letters)
}

// Count returns how many letters nobody has decided on.
func (d *DeadLetters) Count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.letters)
}

// Get returns a letter.
//
// Errors: [ErrNoLetter].
func (d *DeadLetters) Get(id string) (Letter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.find(id)
	if i < 0 {
		return Letter{}, fmt.Errorf("%w: %s", ErrNoLetter, id)
	}
	return d.letters[i], nil
}

// Settle takes a letter off the list and keeps why. It is not kept again if its record
// comes once more.
//
// Errors: [ErrNoLetter], those of the file.
func (d *DeadLetters) Settle(id, why string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.find(id)
	if i < 0 {
		return fmt.Errorf("%w: %s", ErrNoLetter, id)
	}
	return d.write(Letter{ID: id, Topic: d.letters[i].Topic, Added: time.Now().UTC(), Settled: why})
}

// Close closes the file.
func (d *DeadLetters) Close() error {
	if d.file == nil {
		return nil
	}
	return d.file.Close()
}
