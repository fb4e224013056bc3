package wire_test

import (
	"testing"

	"ensemble/wire"
)

// TestAHealthToTheByte: a component that the whole can do without is UNKNOWN when it is
// away, and the whole is UP.
func TestAHealthToTheByte(t *testing.T) {
	const groups = `,"groups":["liveness","readiness"]}`
	for _, c := range []struct {
		sentence   string
		components []wire.Component
		up         bool
		health     string
		lines      string
	}{
		{
			"all is well",
			[]wire.Component{{Name: "log", Up: true}, {Name: "user-service", Up: true, Optional: true}},
			true,
			`{"status":"UP","components":{"log":{"status":"UP"},"user-service":{"status":"UP"}}` + groups,
			"[+]log ok\n[+]user-service ok\nok\n",
		},
		{
			"what is optional is away",
			[]wire.Component{{Name: "log", Up: true}, {Name: "user-service", Optional: true}},
			true,
			`{"status":"UP","components":{"log":{"status":"UP"},"user-service":{"status":"UNKNOWN"}}` + groups,
			"[+]log ok\n[?]user-service away, serving goes on without it\nok\n",
		},
		{
			"what is needed is away",
			[]wire.Component{{Name: "log"}, {Name: "user-service", Optional: true}},
			false,
			`{"status":"DOWN","components":{"log":{"status":"DOWN"},"user-service":{"status":"UNKNOWN"}}` + groups,
			"[-]log failed, the log says why\n[?]user-service away, serving goes on without it\nnot ready\n",
		},
	} {
		health, up := wire.AppendHealth(nil, c.components)
		if string(health) != c.health || up != c.up {
			t.Errorf("%s: %s, %t", c.sentence, health, up)
		}
		lines, up := wire.AppendReadiness(nil, c.components, true)
		if string(lines) != c.lines || up != c.up {
			t.Errorf("%s: %s, %t", c.sentence, lines, up)
		}
		short, _ := wire.AppendReadiness(nil, c.components, false)
		if want := map[bool]string{true: "ok\n", false: "not ready\n"}[c.up]; string(short) != want {
			t.Errorf("%s: %s", c.sentence, short)
		}
	}
}
