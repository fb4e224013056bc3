package wire_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"ensemble/wire"
)

func TestEveryKindOfProblemIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/format/http.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range wire.Kinds() {
		line := fmt.Sprintf("| `%s` | %d | %s |\n", k.Slug, k.Status, k.Title)
		if !strings.Contains(string(text), line) {
			t.Errorf("docs/format/http.md lacks %s", line)
		}
	}
}
