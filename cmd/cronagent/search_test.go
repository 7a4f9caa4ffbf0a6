package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/sandbox"
)

// search looks for secrets in what a program let out.
type search struct{ needles map[string]string } // what to find, and what that would be

// stretch matches what forms, JSON, quotes and shells leave as it is, and is so
// long that it is nowhere by chance.
var stretch = regexp.MustCompile(`[A-Za-z0-9_-]{8,}`)

// part is how much of a stretch is found even if the rest is masked or cut off.
const part = 8

// searchFor makes a search for API tokens, and for every access token that a fake
// platform issues.
func searchFor(tokens ...string) search {
	s := search{map[string]string{}}
	for _, token := range tokens {
		for _, plain := range stretch.FindAllString(token, -1) {
			s.encoded(plain, "API token")
			for i := range len(plain) - part + 1 {
				s.needles[plain[i:i+part]] = "part of an API token"
			}
		}
	}
	s.encoded(sandbox.AccessTokenPrefix, "access token")
	s.needles[sandbox.AccessTokenPrefix] = "access token"
	return s
}

// encoded adds the encodings in which no stretch is left as it is.
func (s search) encoded(plain, what string) {
	s.needles[hex.EncodeToString([]byte(plain))] = what + " in hex"
	s.needles[strings.ToUpper(hex.EncodeToString([]byte(plain)))] = what + " in hex"
	s.needles[fmt.Sprintf("% x", plain)] = what + " in hex"
	s.needles[strings.Trim(fmt.Sprint([]byte(plain)), "[]")] = what + " as numbers"
	// Whatever stands before it, such as "client:", it begins at one of three places
	// of a group. Only characters that are wholly its own count.
	for before := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, before), plain...))
			s.needles[text[(before*8+5)/6:(before+len(plain))*8/6]] = what + " in base64"
		}
	}
}

// credentialsText is a header that carries credentials, whatever they are.
var credentialsText = regexp.MustCompile(`(?i)\bbearer\s+[^\s\[*"]{8,}|\bbasic\s+[a-z0-9+/_-]{12,}`)

// in returns what was found in a text, with the words around it.
func (s search) in(text string) (found []string) {
	show := func(what string, from, to int) {
		found = append(found, fmt.Sprintf("%s: …%q…", what, text[max(0, from-60):min(len(text), to+30)]))
	}
	for needle, what := range s.needles {
		if i := strings.Index(text, needle); i >= 0 {
			show(what, i, i+len(needle))
		}
	}
	if at := credentialsText.FindStringIndex(text); at != nil {
		show("credentials", at[0], at[1])
	}
	return found
}

// files are the contents of all files below folders, by path.
func files(folders ...string) map[string]string {
	contents := map[string]string{}
	for _, folder := range folders {
		_ = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				data, _ := os.ReadFile(path)
				contents[path] = string(data)
			}
			return nil
		})
	}
	return contents
}

// inFiles looks into names and contents of files, except for what was in them
// before.
func (s search) inFiles(now, before map[string]string) (found []string) {
	for path, content := range now {
		if content == before[path] {
			continue
		}
		for _, leak := range append(s.in(strings.TrimPrefix(content, before[path])), s.in(path)...) {
			found = append(found, path+": "+leak)
		}
	}
	return found
}

// oddToken is written differently by forms, JSON, quotes and shells.
const oddToken = "ök7Rw2Zx9Vb4Mq &+=%/\"\\<>'$`;{}Hn5Tq8Lc3Jd6Fs"

// TestTheSearchFinds shows that the search of the other tests finds secrets in
// every form, alone and in the middle of something.
func TestTheSearchFinds(t *testing.T) {
	t.Parallel()
	access := sandbox.AccessTokenPrefix + "K5QJ2M7RX3"
	forms := map[string]func(string) string{
		"raw":                func(s string) string { return s },
		"with a line break":  func(s string) string { return s + "\n" },
		"in a form":          url.QueryEscape,
		"in a path":          url.PathEscape,
		"in JSON":            func(s string) string { data, _ := json.Marshal(s); return string(data) },
		"quoted":             strconv.Quote,
		"quoted in ASCII":    strconv.QuoteToASCII,
		"quoted in JSON":     func(s string) string { data, _ := json.Marshal(strconv.Quote(s)); return string(data) },
		"printed as numbers": func(s string) string { return fmt.Sprint([]byte(s)) },
		"base64":             func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64 for URLs":    func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
		"base64 of a pair": func(s string) string {
			return base64.StdEncoding.EncodeToString([]byte("platform-api-user:" + s))
		},
		"base64 of JSON": func(s string) string {
			data, _ := json.Marshal(map[string]string{"t": s})
			return base64.StdEncoding.EncodeToString(data)
		},
		"hex":              func(s string) string { return hex.EncodeToString([]byte(s)) },
		"hex, upper case":  func(s string) string { return fmt.Sprintf("%X", s) },
		"hex, with spaces": func(s string) string { return fmt.Sprintf("% x", s) },
		"as a header":      func(s string) string { return "Authorization: Bearer " + s },
	}
	for _, secret := range []string{apiToken, oddToken, access} {
		s := searchFor(apiToken, oddToken)
		for name, form := range forms {
			for before := range 3 { // each place of a group of base64
				planted := "said: " + strings.Repeat("x", before) + form(secret) + " and more"
				assert.NotEmpty(t, s.in(planted), "%s: %s", name, planted)
			}
			path := filepath.Join(t.TempDir(), "deep", "ledger.jsonl")
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			require.NoError(t, os.WriteFile(path, []byte(form(secret)), 0o600))
			now := files(filepath.Dir(filepath.Dir(path)))
			assert.NotEmpty(t, s.inFiles(now, nil), name)
			assert.Empty(t, s.inFiles(now, now), "what was there before is nobody's leak")
		}
	}
	s := searchFor(apiToken, oddToken)
	assert.NotEmpty(t, s.in("******"+apiToken[len(apiToken)-part:]), "the end of a token")
	assert.NotEmpty(t, s.in(apiToken[:part]+"…"), "the beginning of a token")
	assert.NotEmpty(t, s.in("Authorization:[Bearer unknown-to-all]"), "a bearer that nobody knows")
	assert.NotEmpty(t, s.in("Basic cGxhdGZvcm0tYXBpLXVzZXI6"), "the client's own header")
	assert.Empty(t, s.in(`Basic realm="sandbox" Bearer realm="sandbox", Bearer ********, the token in PLATFORMSH_CLI_TOKEN, sandbox-token`))
}

// debugFile names the variable of a script that names the file for debug lines.
const debugFile = "CRONAGENT_TEST_DEBUG"

// program is main for scripts. Each of them runs at debug level, and what they say
// about standard error is said about ordinary runs; so debug lines go elsewhere.
func program() {
	name := os.Getenv(debugFile)
	if name == "" {
		main()
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	os.Exit(start(&debugApart{os.Stderr, file}))
}

// debugApart is a place for logs: standard error, but a file for debug lines.
type debugApart struct{ stderr, file *os.File }

func (w *debugApart) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(" level=DEBUG ")) {
		return w.file.Write(p)
	}
	return w.stderr.Write(p)
}

// searched is the T of scripts. Whatever a script's commands printed, at debug
// level too, and every file that they left is searched for secrets at its end.
type searched struct {
	*testing.T
	*script
	dir     string // of the scripts, below testdata
	secrets []string
}

// script is what the search must know of one script.
type script struct {
	work, debug string
	written     map[string]string // the files that the script's author wrote
}

func (t searched) Run(name string, f func(testscript.T)) {
	t.T.Run(name, func(test *testing.T) { f(searched{test, &script{}, t.dir, t.secrets}) })
}

// Verbose says that all of a script's log is wanted, not only its end.
func (t searched) Verbose() bool { return true }

// watch runs a script at debug level.
func watch(env *testscript.Env) {
	t := env.T().(searched)
	t.work, t.debug = env.WorkDir, filepath.Join(t.TempDir(), "debug")
	t.written = files(env.WorkDir)
	env.Vars = append(env.Vars, debugVariable+"=1", debugFile+"="+t.debug)
}

// Log is called with a script's whole log at its end, when its commands have ended
// and their files are still there. The log begins with the environment, up to an
// empty line, and has the script's own lines in it.
func (t searched) Log(args ...any) {
	log := fmt.Sprint(args...)
	if t.work == "" { // its setup failed
		t.T.Log(log)
		return
	}
	lines, err := os.ReadFile(filepath.Join("testdata", t.dir, filepath.Base(t.Name())+".txtar"))
	require.NoError(t, err)
	own := map[string]bool{}
	for line := range strings.Lines(string(lines)) {
		own["> "+line] = true
	}
	_, said, _ := strings.Cut(log, "\n\n")
	var printed strings.Builder
	for line := range strings.Lines(said) {
		if !own[line] {
			printed.WriteString(line)
		}
	}
	s := searchFor(append(t.secrets, apiToken)...)
	debug, _ := os.ReadFile(t.debug) // a script that calls nothing has none
	found := append(s.in(printed.String()), s.in(string(debug))...)
	for _, leak := range append(found, s.inFiles(files(t.work), t.written)...) {
		t.Errorf("a secret is let out: %s", leak)
	}
	if testing.Verbose() || t.Failed() {
		t.T.Log(log)
	}
}
