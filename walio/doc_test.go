package walio

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// The worked example of the package comment is what the code writes.
func TestDocExample(t *testing.T) {
	var b Batch
	b.reset()
	b.Sample(64, 1_700_000_000_000, 0x3ff0000000000000)
	b.Sample(128, 1_700_000_000_000, 0x4000000000000000)
	b.finish()
	var e encoded
	h := &commitHeader{generation: 1, epoch: 1, commit: 10, synced: 9, before: Totals{0, 18, 0}}
	encodeCommit(&e, &b, h, &compressor{})
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, doc, _ := strings.Cut(string(text), "at the beginning of a page:\n")
	doc, _, _ = strings.Cut(doc, "A commit is valid")
	doc = strings.NewReplacer("/", "", " ", "", "\t", "", "\n", "").Replace(doc)
	if got := hex.EncodeToString(e.appendFrames(nil, 0)); got != doc {
		t.Errorf("the code writes\n%s\nthe comment says\n%s", got, doc)
	}
}
