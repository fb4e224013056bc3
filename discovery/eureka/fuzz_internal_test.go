package eureka

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"unicode/utf8"

	"ensemble/discovery"
)

// FuzzDecodeJSON and FuzzDecodeXML: what is taken in can be written in both forms, and
// read again it is the same.
func FuzzDecodeJSON(f *testing.F) {
	seed(f, "*.json")
	f.Add([]byte(`{"instance":{"port":{"$":"8","@enabled":true},"metadata":{"a$_ b":1.5e3,"t":true},"leaseInfo":null}}`))
	f.Fuzz(func(t *testing.T, b []byte) { survives(t, b, true) })
}

func FuzzDecodeXML(f *testing.F) {
	seed(f, "*.xml")
	f.Add([]byte(`<instance><metadata><a_.0020b>&#13;</a_.0020b><_.zzzz/><a:b>1</a:b></metadata></instance>`))
	f.Add([]byte("&\xfe "))            // shown as it came, it was no text
	f.Add([]byte("<instance/>&\xfe ")) // the same behind the document
	f.Fuzz(func(t *testing.T, b []byte) { survives(t, b, false) })
}

// seed adds the files of testdata.
func seed(f *testing.F, pattern string) {
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) == 0 {
		f.Fatal("no files", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// survives decodes, checks, and sends what passed through both forms.
func survives(t *testing.T, b []byte, asJSON bool) {
	in, err := decodeInstance(b, asJSON)
	if err != nil {
		if !utf8.ValidString(err.Error()) || len(err.Error()) > 500 {
			t.Errorf("error of %d bytes: %s", len(err.Error()), err)
		}
		return
	}
	in.complete()
	ip, err := netip.ParseAddr(in.IPAddr)
	if err != nil || in.check(in.App, ip, discovery.Advertised{}) != nil {
		return
	}
	in.OlderName = in.Overridden
	if len(in.Metadata) == 0 {
		in.Metadata = nil
	}
	for _, form := range []bool{true, false} {
		written, err := encode(in, form)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeInstance(written, form)
		if err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		again.XMLName, again.OlderName = in.XMLName, in.OlderName
		if len(again.Metadata) == 0 {
			again.Metadata = nil
		}
		if !reflect.DeepEqual(in, again) {
			t.Fatalf("%+v became %+v in %s", in, again, written)
		}
	}
}
