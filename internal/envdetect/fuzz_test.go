package envdetect_test

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cronagent/cronagent/internal/envdetect"
)

// FuzzDetect: no variables at all make it panic, and what it accepts can be
// relied on. The variables come as lines NAME=VALUE.
func FuzzDetect(f *testing.F) {
	lines := func(v vars) string {
		var all strings.Builder
		for name, value := range v {
			all.WriteString(name + "=" + value + "\n")
		}
		return all.String()
	}
	f.Add(lines(container()), "", "cronagent")
	f.Add(lines(build()), "webpaas", "platform")
	f.Add(lines(container().and(vars{"PLATFORM_VARIABLES": encoded("[]"), "TMPDIR": "x", "PLATFORM_DOCUMENT_ROOT": "/"})), "", "upsun")
	f.Add("PLATFORM_APPLICATION=e30=\nCRONAGENT_STATE_DIR=..\nPLATFORM_DOCUMENT_ROOT=.", "x", "")
	f.Add("CRONAGENT_API_URL=https://[::1%25eth0]:0/\nUPSUN_CLI_OAUTH2_TOKEN_URL=/oauth2/token", "", "")
	f.Fuzz(func(t *testing.T, text, vendor, calledAs string) {
		v := vars{}
		for line := range strings.SplitSeq(text, "\n") {
			name, value, _ := strings.Cut(line, "=")
			v[name] = value
		}
		e, err := envdetect.Detect(v.lookup, envdetect.Options{Vendor: vendor, CalledAs: calledAs, Writable: func(dir string) bool { return len(dir)%2 == 0 }})
		if err != nil {
			if problem, ok := err.(*envdetect.Error); !ok || problem.Variable == "" || problem.Problem == "" {
				t.Fatalf("an error that names nothing: %#v", err)
			}
			return
		}
		for _, base := range []string{e.APIURL, e.AuthURL} {
			u, err := url.Parse(base + "/projects/x")
			if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !strings.HasSuffix(u.Path, "/projects/x") {
				t.Fatalf("no base: %q", base)
			}
		}
		if e.Vendor.Name == "" || e.Phase == "" || e.StateDir == "" {
			t.Fatalf("not settled: %+v", e)
		}
		if e.Production && (e.Phase != envdetect.Runtime || e.ID == "" || e.App == "" && !strings.HasPrefix(strings.TrimSpace(v["PLATFORM_APPLICATION_NAME"]), "--")) {
			t.Fatalf("production without an environment: %+v", e)
		}
		if e.StateProblem == "" && !filepath.IsAbs(e.StateDir) {
			t.Fatalf("a relative state directory: %q", e.StateDir)
		}
		if _, err := json.Marshal(e); err != nil {
			t.Fatal(err)
		}
	})
}
