package check_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/check"
)

// FuzzCheck: no text makes check panic, findings stand in the file, and what Fix
// writes can be fixed again without another change.
func FuzzCheck(f *testing.F) {
	for _, c := range cases {
		for _, text := range append(append([]string{}, c.bad...), c.good...) {
			f.Add(text)
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "!") { // nothing is included
			return
		}
		file := filepath.Join(dir, ".platform.app.yaml")
		look := func(text string) []*check.Finding {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			source, err := appconfig.ReadFile(file)
			if err != nil {
				return nil
			}
			return check.Run([]*appconfig.Source{source}, check.Options{Now: now})
		}
		all := look(text)
		lines := strings.Count(text, "\n") + 2
		for _, one := range all {
			if one.Line < 0 || one.Line > lines || one.Message == "" || check.ByCode(one.Code) == nil {
				t.Fatalf("%+v in\n%s", one, text)
			}
		}
		fixed, err := check.Fix(file, []byte(text), all)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		again, err := check.Fix(file, fixed.After, look(string(fixed.After)))
		if err != nil || string(again.After) != string(fixed.After) {
			t.Fatalf("%v: once is not enough:\n%s\n%s\n%s", err, text, fixed.After, again.After)
		}
		_ = check.Diff(fixed)
	})
}
