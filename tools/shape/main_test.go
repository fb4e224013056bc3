package main

import "testing"

func TestOnlyLinesWithCodeAreCounted(t *testing.T) {
	for text, want := range map[string]int{
		"package a\n":                                   1,
		"// a comment\n\npackage a // and why\n":        1,
		"package a\n\n/* a\nb */ var x = 1\n":           2,
		"package a\n\nvar x = `one\n\nthree`\n":         4,
		"package a\n\nfunc f() {\n\t// why\n\tf()\n}\n": 4,
		"package a; var x, y = 1, 2; var z = x\n":       1,
		"": 0,
	} {
		if got := codeLines([]byte(text)); got != want {
			t.Errorf("%q has %d lines of code, want %d", text, got, want)
		}
	}
}
