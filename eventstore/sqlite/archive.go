package sqlite

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"regexp"
	"time"

	"ensemble/eventstore"
)

// A backup is a tar archive, drawn in docs/format/backup.md:
//
//	+---------------+-----------+---------+--------+----------+
//	| manifest.json | friend.db | user.db | SHA256 | 1 KiB of |
//	|               |           |         |        | zeros    |
//	+---------------+-----------+---------+--------+----------+
//	|<---------- what is sealed ----------->|
//
// A tar, so that in need the tools that every machine has are enough to get at the
// events. The manifest comes first, so that a file says at once what it is. A tar has
// weak checksums in its headers and none over its contents; the seal makes a flipped
// bit or a missing end visible wherever it is: the last 2 KiB are determined by all
// that comes before, to the bit, and are compared as a whole.
//
// It is no proof against somebody who changes the file and seals it again. Who needs
// that signs the file with a tool for it.

const (
	manifestName = "manifest.json"
	sealName     = "SHA256"
	backupFormat = 1
	maxManifest  = 64 << 10
)

// Manifest says what is in a backup.
type Manifest struct {
	Format int         `json:"format"`
	Made   time.Time   `json:"made"`
	By     string      `json:"by"` // the program that made it
	Logs   []BackedLog `json:"logs"`
}

// BackedLog is one log of a backup, up to where it goes.
type BackedLog struct {
	Name     string              `json:"name"`
	Position eventstore.Position `json:"position"`
	Time     time.Time           `json:"time"` // of the last event; zero in an empty log
	Lineage  []BackedFork        `json:"lineage"`
}

// BackedFork is an entry of a lineage.
type BackedFork struct {
	UUID  string              `json:"uuid"`
	First eventstore.Position `json:"first"`
}

// BackupError means that a file can't be restored from.
type BackupError struct{ Path, Reason, Hint string }

// Error implements error.
func (e *BackupError) Error() string { return fmt.Sprintf("%s %s. %s", e.Path, e.Reason, e.Hint) }

// header returns the header of an entry. It depends on nothing but the entry, so
// that the seal can be made again.
func tarHeader(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: size, ModTime: time.Unix(0, 0)}
}

// archiveWriter writes a backup. Every byte but those of the seal passes through the sum
// on its way to the file, headers and padding included.
type archiveWriter struct {
	tar *tar.Writer
	sum hash.Hash
	out io.Writer
}

// newArchive begins a backup.
func newArchive(out io.Writer) *archiveWriter {
	sum := sha256.New()
	return &archiveWriter{tar: tar.NewWriter(io.MultiWriter(out, sum)), sum: sum, out: out}
}

// manifest writes the first entry.
func (a *archiveWriter) manifest(m Manifest) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the manifest: %w", err)
	}
	return writeEntry(a.tar, manifestName, append(b, '\n'))
}

// file copies a file into the archive.
func (a *archiveWriter) file(name, path string) error {
	in, err := os.Open(path) //nolint:gosec // our own file
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := a.tar.WriteHeader(tarHeader(name, info.Size())); err != nil {
		return err
	}
	_, err = io.Copy(a.tar, in)
	return err
}

// seal ends the archive.
func (a *archiveWriter) seal() error {
	if err := a.tar.Flush(); err != nil {
		return err
	}
	tail, err := sealOf(a.sum)
	if err != nil {
		return err
	}
	_, err = a.out.Write(tail)
	return err
}

// sealOf returns the end of an archive: the entry with the sum of all before, and
// what ends a tar file.
func sealOf(sum hash.Hash) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text := hex.AppendEncode(nil, sum.Sum(nil))
	err := errors.Join(writeEntry(w, sealName, append(text, '\n')), w.Close())
	return b.Bytes(), err
}

// writeEntry writes a small entry.
func writeEntry(w *tar.Writer, name string, content []byte) error {
	if err := w.WriteHeader(tarHeader(name, int64(len(content)))); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// readManifest reads the first entry of a backup and leaves the reader before the
// second.
func readManifest(path string, r *tar.Reader) (m Manifest, err error) {
	foreign := &BackupError{path, "is no backup of ensemble", "Choose a file that 'ensemble events backup' has made"}
	header, err := r.Next()
	if err != nil || header.Name != manifestName || header.Size > maxManifest {
		return m, foreign
	}
	if err := json.NewDecoder(io.LimitReader(r, maxManifest)).Decode(&m); err != nil || m.Format < 1 {
		return m, foreign
	}
	if m.Format > backupFormat {
		return m, &BackupError{
			path, fmt.Sprintf("has format %d, this program knows up to %d", m.Format, backupFormat),
			"Restore it with the version that made it, or a later one",
		}
	}
	names := regexp.MustCompile(`^[a-z]{1,64}$`)
	seen := map[string]bool{}
	for _, l := range m.Logs {
		if !names.MatchString(l.Name) || seen[l.Name] || l.Position < 0 || len(l.Lineage) == 0 {
			return m, foreign
		}
		seen[l.Name] = true
	}
	return m, nil
}

// checkSeal reads the whole file and holds it against its seal. It believes nothing that
// the file says of itself, not even where its entries end: the seal lies at the end.
func checkSeal(path string, file io.ReadSeeker, progress func(done, total int64)) error {
	broken := &BackupError{path, "is damaged or cut short: its seal does not fit", "Restore another backup, or fetch this one again"}
	sum := sha256.New()
	tail, err := sealOf(sum) // for its length
	if err != nil {
		return err
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	body := size - int64(len(tail))
	if body <= 0 {
		return broken
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for done := int64(0); done < body; progress(done, body) {
		n, err := io.CopyN(sum, file, min(1<<20, body-done))
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		done += n
	}
	found := make([]byte, len(tail))
	if _, err := io.ReadFull(file, found); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if tail, err = sealOf(sum); err != nil || !bytes.Equal(tail, found) {
		return errors.Join(broken, err)
	}
	return nil
}
