package telemetry

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// terminal returns both ends of a pseudo terminal (pty(7)): what is written to the
// screen is read from the keyboard's side.
func terminal(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { keyboard.Close() })
	var unlock, number int32
	for request, arg := range map[uintptr]*int32{syscall.TIOCSPTLCK: &unlock, syscall.TIOCGPTN: &number} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, keyboard.Fd(), request, uintptr(unsafe.Pointer(arg))); errno != 0 {
			t.Skipf("there are no pseudo terminals here: %v", errno)
		}
	}
	screen, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	return keyboard, screen
}

// TestATerminalGetsColoursUnlessItsOwnerDoesNotWantThem, see no-color.org: any value
// but an empty one means no.
func TestATerminalGetsColoursUnlessItsOwnerDoesNotWantThem(t *testing.T) {
	for _, c := range []struct {
		about, noColor   string
		format           Format
		coloured, isJSON bool
	}{
		{"by itself it is coloured text", "", Auto, true, false},
		{"text is coloured", "", Text, true, false},
		{"JSON is never coloured", "", JSON, false, true},
		{"without colours text stays text", "1", Text, false, false},
		{"whatever the value is", "0", Text, false, false},
	} {
		t.Run(c.about, func(t *testing.T) {
			t.Setenv("NO_COLOR", c.noColor)
			keyboard, screen := terminal(t)
			if IsTerminal(screen) != (c.noColor == "") {
				t.Errorf("it is taken for a terminal: %v", IsTerminal(screen))
			}
			NewLogger(screen, LogOptions{Format: c.format}).Error("ready", "port", 9000)
			b := make([]byte, 1000)
			n, err := keyboard.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			got := string(b[:n])
			if strings.Contains(got, "\x1b[") != c.coloured || strings.HasPrefix(got, "{") != c.isJSON || !strings.Contains(got, "ready") {
				t.Errorf("it shows %q", got)
			}
		})
	}
}

// TestWhatIsNoTerminal: a file, a pipe, and a device that is none.
func TestWhatIsNoTerminal(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for name, f := range map[string]*os.File{"a file": file, "a pipe": w, "the null device": null} {
		if IsTerminal(f) {
			t.Errorf("%s is taken for a terminal", name)
		}
	}
}
