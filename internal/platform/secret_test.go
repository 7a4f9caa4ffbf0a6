package platform_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/sandbox"
)

const accessToken = "eyJ-access-token-of-the-test"

// everyForm is v in every form in which a program might print it.
func everyForm(t *testing.T, v any) string {
	t.Helper()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		fmt.Fprintf(&out, verb+"\n", v)
		fmt.Fprintf(&out, verb+"\n", []any{v})
		fmt.Fprintf(&out, verb+"\n", struct{ V any }{v})
		fmt.Fprintf(&out, verb+"\n", struct{ v any }{v})
	}
	level := &slog.HandlerOptions{Level: slog.LevelDebug}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, level), slog.NewJSONHandler(&out, level)} {
		log := slog.New(handler)
		log.Info("x", "v", v, "in", struct{ V any }{v}, "list", []any{v})
		log.With("v", v).WithGroup("g").Debug("x", "v", v)
	}
	encoded, _ := json.Marshal(v)
	out.Write(encoded)
	return out.String()
}

func assertNoSecret(t *testing.T, text string) {
	t.Helper()
	hex := fmt.Sprintf("%x", apiToken)
	for _, secret := range []string{apiToken, secretPart, url.QueryEscape(apiToken), "sandbox%3E", `sandbox\u003e`, hex[8:20], accessToken, accessToken[:12], "tök"} {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("%q is in: %s", secret, text[max(at-100, 0):min(at+100, len(text))])
		}
	}
}

func TestTokenShowsNothing(t *testing.T) {
	t.Parallel()
	token := platform.NewToken(" " + apiToken + "\n")
	assertNoSecret(t, everyForm(t, token))
	assertNoSecret(t, everyForm(t, &token))
	type holder struct {
		Shown  platform.Token
		hidden platform.Token
		list   []platform.Token
	}
	assertNoSecret(t, everyForm(t, holder{token, token, []platform.Token{token}}))
	assertNoSecret(t, everyForm(t, map[string]platform.Token{"a": token}))
	encoded, err := yaml.Marshal(holder{Shown: token})
	require.NoError(t, err)
	assertNoSecret(t, string(encoded))
	assert.Equal(t, "********", token.String())
	assert.False(t, token.IsZero())

	for _, empty := range []platform.Token{{}, platform.NewToken(""), platform.NewToken(" \r\n")} {
		assert.True(t, empty.IsZero())
		assert.Empty(t, empty.String())
		assert.Equal(t, "as it is", empty.Redact("as it is"))
	}
}

func TestRedactKnowsTheFormsOfAToken(t *testing.T) {
	t.Parallel()
	token := platform.NewToken(apiToken)
	inJSON, err := json.Marshal(apiToken)
	require.NoError(t, err)
	for _, form := range []string{apiToken, url.QueryEscape(apiToken), string(inJSON), fmt.Sprintf("%q", apiToken)} {
		text := token.Redact("before " + form + " after")
		assertNoSecret(t, text)
		assert.Contains(t, text, "before ")
		assert.Contains(t, text, "********")
		assert.Contains(t, text, " after")
	}
}

func TestClientShowsNothing(t *testing.T) {
	t.Parallel()
	c := inside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth2/token" {
			_, _ = io.WriteString(w, `{"access_token":"`+accessToken+`"}`)
			return
		}
		assert.Equal(t, "Bearer "+accessToken, r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, `{}`)
	}))
	_, err := c.Me(within(t, time.Minute)) // now it holds an access token
	require.NoError(t, err)
	assertNoSecret(t, everyForm(t, c))
}

// TestServersThatRepeatTheCredentials: whatever comes back, no error holds them.
func TestServersThatRepeatTheCredentials(t *testing.T) {
	t.Parallel()
	body := func(said map[string]any) string {
		encoded, err := json.Marshal(said)
		require.NoError(t, err)
		return string(encoded)
	}
	for name, shape := range map[string]func(secret string) string{
		"a message":        func(s string) string { return body(map[string]any{"message": s}) },
		"a detail":         func(s string) string { return body(map[string]any{"status": "error", "detail": s}) },
		"a detail, object": func(s string) string { return body(map[string]any{"detail": map[string]any{"token": []string{s}}}) },
		"an OAuth error": func(s string) string {
			return body(map[string]any{"error": s, "error_description": s, "error_hint": s})
		},
		"at the cut": func(s string) string {
			return body(map[string]any{"message": strings.Repeat("y", 300-len(s)/2) + s})
		},
		"a title, twice": func(s string) string { return body(map[string]any{"title": s + s, "code": s}) },
		"a page":         func(s string) string { return "<html>" + s },
		"a cut object":   func(s string) string { return `{"message":"` + s },
		"a plain string": func(s string) string { return body(map[string]any{"": s})[4:] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for _, status := range []int{202, 302, 400, 401, 403, 404, 418, 429, 500, 503} {
					for _, where := range []string{"/oauth2/token", "/"} {
						c := inside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							sent, _ := io.ReadAll(r.Body)
							form, _ := url.ParseQuery(string(sent))
							secret := apiToken + " " + string(sent) + " " + form.Get("api_token") + " " + r.Header.Get("Authorization")
							if r.URL.Path == "/oauth2/token" && where != r.URL.Path {
								_, _ = io.WriteString(w, `{"access_token":"`+accessToken+`"}`)
								return
							}
							for _, name := range []string{"Retry-After", "Location", "WWW-Authenticate", "Content-Type"} {
								w.Header().Set(name, strings.ReplaceAll(secret, "\n", " "))
							}
							w.WriteHeader(status)
							_, _ = io.WriteString(w, shape(secret))
						}))
						_, err := c.Fire(within(t, 2*time.Second), onMain, request(t, "backup:create"))
						if err != nil {
							e := platformError(t, err)
							assertNoSecret(t, everyForm(t, e))
							assert.LessOrEqual(t, len(e.Detail), 1000)
						}
						_, err = c.Me(within(t, 2*time.Second))
						if err != nil {
							assertNoSecret(t, everyForm(t, err))
						}
					}
				}
			})
		})
	}
}

// TestABrokenServerThatRepeatsTheCredentials sends what is no HTTP at all, which
// net/http quotes in its error.
func TestABrokenServerThatRepeatsTheCredentials(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			buffer := make([]byte, 4096)
			_, _ = conn.Read(buffer)
			_, _ = io.WriteString(conn, "token "+apiToken+" "+url.QueryEscape(apiToken)+"\r\n\r\n")
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	broken := "http://" + l.Addr().String()
	_, err = client(broken).Fire(within(t, time.Second), onMain, request(t, "backup:create"))
	e := platformError(t, err)
	assert.Equal(t, platform.Unavailable, e.Kind)
	assertNoSecret(t, everyForm(t, e))

	_, c := listen(t, sandbox.Options{})
	c.APIURL = broken
	_, err = c.Fire(within(t, 3*time.Second), onMain, request(t, "backup:create"))
	e = platformError(t, err)
	assert.Equal(t, platform.Uncertain, e.Kind)
	assert.Contains(t, e.Error(), "the answer is no HTTP")
	assertNoSecret(t, everyForm(t, e))
}

func TestErrorIsOneLine(t *testing.T) {
	t.Parallel()
	c := inside(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"a\nb\tc  d","error_description":null,"message":7,"title":"`+strings.Repeat("é", 500)+`"}`)
	}))
	_, err := c.Me(within(t, time.Second))
	e := platformError(t, err)
	assert.NotContains(t, e.Error(), "\n")
	assert.Contains(t, e.Error(), "exchange the API token: 400 Bad Request from localhost: a b c d: éé")
	assert.True(t, strings.HasSuffix(e.Error(), "é..."), "cut between two letters")
	assert.Less(t, len(e.Error()), 400)
}

// TestNoHalfOfASecretIsLeftAtTheCut: a long message is cut, at any letter of the
// token that stands there.
func TestNoHalfOfASecretIsLeftAtTheCut(t *testing.T) {
	t.Parallel()
	for pad := 300 - len(apiToken); pad <= 300; pad++ {
		said, err := json.Marshal(map[string]string{"message": strings.Repeat("y", pad) + apiToken})
		require.NoError(t, err)
		c := inside(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write(said)
		}))
		_, err = c.Me(within(t, time.Second))
		e := platformError(t, err)
		assert.Regexp(t, `^y+\**(\.\.\.)?$`, e.Detail)
	}
}
