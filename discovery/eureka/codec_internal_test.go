package eureka

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestKeysAreNamedAsJavaClientsReadThem, and read back.
func TestKeysAreNamedAsJavaClientsReadThem(t *testing.T) {
	for key, name := range map[string]string{
		"zone": "zone", "management.port": "management.port", "a-b": "a-b", "a_b": "a__b", "$": "_-", "a$b_c": "a_-b__c",
		"1a": "_.0031a", "-a": "_.002da", "a b": "a_.0020b", "a:b": "a_.003ab", "<x>": "_.003cx_.003e", "@class": "_.0040class", "_": "__",
	} {
		if got := elementName(key); got != name {
			t.Errorf("%q is named %s, want %s", key, got, name)
		}
		if got := keyOf(name); got != key {
			t.Errorf("%s is read as %q, want %q", name, got, key)
		}
	}
	for name, key := range map[string]string{"a_b": "a_b", "_": "_", "a_.zzzz": "a_.zzzz", "a_.00": "a_.00", "___": "__"} {
		if got := keyOf(name); got != key {
			t.Errorf("%s, which no Java client wrote, is read as %q, want %q", name, got, key)
		}
	}
}

// TestAnyMetadataComesBack from both forms.
func TestAnyMetadataComesBack(t *testing.T) {
	key := rapid.StringMatching(`[!-~]{1,12}`).Filter(func(k string) bool { return k != "@class" })
	value := rapid.StringOf(rapid.RuneFrom([]rune("aZ09 _$<>&\"'\\\t\n\r{}é€\U0001F600")))
	rapid.Check(t, func(t *rapid.T) {
		in := &Instance{ID: "a", App: "A", Metadata: rapid.MapOf(key, value).Draw(t, "metadata")}
		for _, asJSON := range []bool{true, false} {
			b, err := encode(in, asJSON)
			if err != nil {
				t.Fatal(err)
			}
			out, err := decodeInstance(b, asJSON)
			if err != nil {
				t.Fatalf("%s: %v", b, err)
			}
			if len(out.Metadata)+len(in.Metadata) > 0 && !cmp.Equal(out.Metadata, in.Metadata) {
				t.Fatalf("as JSON %v, %q became %q", asJSON, in.Metadata, out.Metadata)
			}
		}
	})
}

// TestNumbersAndBooleansComeInBothKinds, as clients of different languages send them.
func TestNumbersAndBooleansComeInBothKinds(t *testing.T) {
	read := func(port string) (*Instance, error) {
		return decodeInstance([]byte(`{"instance":{"port":`+port+`}}`), true)
	}
	for text, want := range map[string]Port{
		`{"$":80,"@enabled":true}`:      {80, true},
		`{"$":"80","@enabled":"true"}`:  {80, true},
		`{"$":80,"@enabled":"false"}`:   {80, false},
		`{"@enabled":true}`:             {0, true},
		`{"$":null,"@enabled":null}`:    {0, false},
		`null`:                          {},
		`{"$":"","@enabled":"","x":[]}`: {},
	} {
		if in, err := read(text); err != nil || in.Port != want {
			t.Errorf("%s is %+v, %v", text, in, err)
		}
	}
	for _, text := range []string{`80`, `{"$":8.5}`, `{"$":"eighty"}`, `{"$":[80]}`, `{"@enabled":"yes"}`, `{"@enabled":2}`, `{"$":9223372036854775808}`} {
		if in, err := read(text); err == nil {
			t.Errorf("%s is taken for %+v", text, in.Port)
		} else if strings.Contains(err.Error(), "eureka.") || len(err.Error()) > 300 {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestWhatAHostMayBeCalled: names, not what some read as an address.
func TestWhatAHostMayBeCalled(t *testing.T) {
	for name, ok := range map[string]bool{
		"user": true, "user-1.svc.cluster.local": true, "a_b": true, "3f2a91c0be11": true, "host.1a": true, "xn--bcher-kva": true,
		"": false, "-a": false, "a-": false, "a..b": false, ".a": false, "a b": false, "a/b": false, "a:80": false, "a@b": false, "é": false,
		"2130706433": false, "0x7f000001": false, "127.1": false, "a.0x7f": false, "99999999999999999999": false,
		strings.Repeat("a", 64): false, strings.Repeat("a.", 126) + "ab": false,
	} {
		if isHostName(name) != ok {
			t.Errorf("%q: %v", name, !ok)
		}
	}
}
