package api

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSecretsAreMasked(t *testing.T) {
	for in, want := range map[string]string{
		`{"data":"x","demo":true,"n":3}`:                       `{"data":"x","demo":true,"n":3}`,
		`{"password":"x","db-passwd":"x","API_TOKEN":"x"}`:     `{"API_TOKEN":"***","db-passwd":"***","password":"***"}`,
		`{"master-key":"x","client-secret":"x"}`:               `{"client-secret":"***","master-key":"***"}`,
		`{"password":""}`:                                      `{"password":""}`,
		`{"secret":{"a":"x"}}`:                                 `{"secret":"***"}`,
		`{"list":["postgres://u:x@h/d","plain"]}`:              `{"list":["postgres://u:***@h/d","plain"]}`,
		`{"a":{"b":"kafka://u:x@h:9092"}}`:                     `{"a":{"b":"kafka://u:***@h:9092"}}`,
		`{"a":"postgres://h/d?password=x"}`:                    `{"a":"postgres://h/d?password=-"}`,
		`{"a":"postgres://u:%x@h/d"}`:                          `{"a":"***"}`,
		`{"a":"host=h user=u password=x"}`:                     `{"a":"***"}`,
		`{"insecure-no-auth":true,"edge-addr":"[::1]:9000"}`:   `{"edge-addr":"[::1]:9000","insecure-no-auth":true}`,
		`{"a":"sqlite:///var/lib/x.db","b":"http://h:9000/x"}`: `{"a":"sqlite:///var/lib/x.db","b":"http://h:9000/x"}`,
	} {
		v, err := Masked(json.RawMessage(in))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(v); string(got) != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestNoPasswordComesThrough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const canary = "cAnArY"
		value := rapid.SampledFrom([]string{
			"postgres://u:" + canary + "@h/d", "host=h password=" + canary, "x?token=" + canary,
			"http://h/?a=b&secret=" + canary, "https://" + "u:" + canary + "@h:1/p?q=r#f",
		}).Draw(t, "value")
		name := rapid.StringMatching(`[a-z-]{1,8}`).Draw(t, "name")
		var tree any = map[string]any{name: value, name + "-password": canary}
		for range rapid.IntRange(0, 3).Draw(t, "depth") {
			tree = map[string]any{"in": []any{tree}}
		}
		v, err := Masked(tree)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(v); strings.Contains(string(got), canary) {
			t.Fatalf("shown: %s", got)
		}
	})
}
