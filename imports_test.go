package install_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/cronagent/cronagent/"

// mayImport is the table of docs/ARCHITECTURE.md: which packages of ours a
// package may import. cmd/cronagent may import all of them, and what is not in
// the table none.
var mayImport = map[string][]string{
	"internal/agent":           {"internal/schedule", "internal/ledger"},
	"internal/check":           {"internal/appconfig", "internal/schedule", "internal/operation", "internal/envdetect", "internal/shell"},
	"internal/appconfig":       {"internal/schedule", "internal/operation", "internal/nearest"},
	"internal/envdetect":       {"internal/nearest"},
	"internal/ledger/database": {"internal/ledger"},
	"internal/operation":       {"internal/nearest"},
	"internal/platform":        {"internal/operation"},
	"internal/table":           {"internal/operation", "internal/terminal"},
	"internal/timeline":        {"internal/terminal"},
}

// forTests are the packages that only tests may import; they may import everything.
var forTests = []string{"internal/dbtest", "internal/ledger/ledgertest"}

// onlyIn names the packages that alone may import something from outside.
var onlyIn = map[string][]string{
	"net/http":                    {"internal/platform", "internal/notify", "internal/sandbox"},
	"os/exec":                     {"internal/runner"},
	"github.com/robfig/cron/v3":   {"internal/schedule"},
	"github.com/spf13/cobra":      {"cmd/cronagent"},
	"github.com/emersion/go-smtp": {"internal/notify"},
	"database/sql":                {"internal/ledger/database"},
	"mvdan.cc/sh/v3/syntax":       {"internal/shell"},
}

// TestImports holds the direction of imports: what it forbids is what would make
// a change in one room a change in all of them.
func TestImports(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-json=ImportPath,Imports", "./cmd/...", "./internal/...")
	out, err := list.Output()
	require.NoError(t, err)
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	packages := 0
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		packages++
		name := strings.TrimPrefix(p.ImportPath, module)
		if slices.Contains(forTests, name) {
			continue
		}
		for _, imported := range p.Imports {
			if own, ours := strings.CutPrefix(imported, module); ours && !strings.HasPrefix(name, "cmd/") {
				assert.Contains(t, mayImport[name], own, "%s must not import %s", name, own)
			}
			assert.NotContains(t, forTests, strings.TrimPrefix(imported, module), "%s must not import %s", name, imported)
			if allowed, ok := onlyIn[imported]; ok {
				assert.True(t, slices.Contains(allowed, name), "%s must not import %s", name, imported)
			}
		}
	}
	require.Greater(t, packages, 8, "the packages were listed")
}
