package cmd

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rekindledb/rekindle/"

// layers is the import graph: what a package may import of this module. "x/..." stands for x and everything
// under it. A package that is not listed goes by its nearest listed parent.
//
//	cmd -> rpc -> engine -> {walio, ckpt} -> arena
var layers = map[string][]string{
	"cmd":                {"cmd/...", "bench/...", "rpc/...", "engine/...", "walio/...", "ckpt/...", "arena/..."},
	"bench":              {"bench/...", "rpc/...", "engine/...", "walio/...", "ckpt/...", "arena/..."},
	"rpc":                {"engine", "engine/promstore"},
	"rpc/grpcsrv":        {"engine", "engine/promstore", "rpc/guard", "rpc/pb", "rpc/wire"},
	"rpc/guard":          {"engine"},
	"rpc/handover":       {"engine", "rpc/pb"},
	"rpc/httpsrv":        {"engine", "engine/promstore", "rpc/guard", "rpc/ring", "rpc/wire"},
	"rpc/lifecycle":      {"rpc/ring", "arena/disk"},
	"rpc/metrics":        {"engine", "engine/promstore", "rpc/lifecycle", "rpc/ring", "arena"},
	"rpc/pb":             {"engine"},
	"rpc/ring":           {},
	"rpc/wire":           {"engine"},
	"engine":             {"engine/xor", "walio", "ckpt", "arena", "arena/disk"},
	"engine/promstore":   {"engine", "engine/xor"},
	"engine/takein":      {"engine", "walio", "arena/disk"},
	"engine/xor":         {},
	"walio":              {"arena", "arena/disk"},
	"ckpt":               {"arena", "arena/disk"},
	"arena":              {"arena/disk"},
	"arena/disk":         {},
	"arena/disk/faultfs": {"arena/disk"},
	"arena/disk/overlay": {"arena/disk"},
}

// testOnly are doubles that production code must not contain. Tests may import them from anywhere.
var testOnly = []string{"arena/disk/faultfs"}

// Every import inside the module follows layers, so that a package can be understood by reading what is below it.
func TestLayering(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "../...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	d, seen := json.NewDecoder(strings.NewReader(string(out))), 0
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, module)
			if !ours {
				continue
			}
			for _, double := range testOnly {
				if to == double && from != double {
					t.Errorf("%s imports %s, which is for tests", from, to)
				}
			}
			if !allowed(from, to) {
				t.Errorf("%s must not import %s", from, to)
			}
		}
	}
	if seen < len(layers) {
		t.Errorf("go list saw %d packages, the list has %d: does it list what is gone?", seen, len(layers))
	}
}

func allowed(from, to string) bool {
	rule := from
	for {
		if list, ok := layers[rule]; ok {
			return slices.ContainsFunc(list, func(may string) bool {
				tree, all := strings.CutSuffix(may, "/...")
				return to == tree || all && strings.HasPrefix(to, tree+"/")
			})
		}
		if rule = path.Dir(rule); rule == "." {
			return false
		}
	}
}
