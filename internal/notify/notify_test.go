package notify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	message "github.com/emersion/go-message/mail"
	"github.com/emersion/go-smtp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cronagent/cronagent/internal/notify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// failure is a message with something in every field.
func failure() notify.Message {
	at := time.Date(2026, 11, 28, 4, 0, 0, 0, time.UTC)
	return notify.Message{
		Event: "failure", Project: "abcdefgh1234567", Environment: "main", EnvironmentType: "production", App: "app", Cron: "import – näch", Operation: "",
		Run: notify.Run{
			ID: "run2345abcdefghi", Outcome: "failed", Reason: "attempt 3 of 3", Due: new(at), Count: 1, Started: new(at.Add(time.Second)), Ended: new(at.Add(4 * time.Second)),
			Attempts: 3, ExitCode: new(7), Error: "exit code 7", Output: "one\nsecond line: Zürich 東京\n",
		},
		Failures: 2, Since: new(at.Add(-24 * time.Hour)), LastSuccess: new(at.Add(-48 * time.Hour)),
		Look: []string{"cronagent logs import"}, Zone: time.FixedZone("CET", 3600),
	}
}

// received is what a mail server took.
type received struct {
	from string
	to   []string
	text string
}

// mailbox is a mail server on loopback.
type mailbox struct {
	mu     sync.Mutex
	mails  []received
	refuse map[string]bool // recipients
	stuck  chan struct{}   // not nil: until it is closed, no mail is taken
}

func (b *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{box: b}, nil }

type session struct {
	box  *mailbox
	mail received
}

func (s *session) Reset()                                      { s.mail = received{} }
func (s *session) Logout() error                               { return nil }
func (s *session) Mail(from string, _ *smtp.MailOptions) error { s.mail.from = from; return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.box.refuse[to] {
		return &smtp.SMTPError{Code: 550, Message: "no such user"}
	}
	s.mail.to = append(s.mail.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if s.box.stuck != nil {
		<-s.box.stuck
	}
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.mail.text = string(text)
	s.box.mails = append(s.box.mails, s.mail)
	return err
}

func (b *mailbox) start(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := smtp.NewServer(b)
	server.Domain = "localhost"
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { server.Close(); serving.Wait() })
	return l.Addr().String()
}

func TestMail(t *testing.T) {
	t.Parallel()
	var box mailbox
	s := &notify.Sender{SMTP: box.start(t), From: "Cron Agent <cron@example.com>", To: []string{"ops@example.com", "Jürgen <j@example.com>"}}
	assert.Equal(t, []string{notify.Mail}, s.Ways())
	for range 2 {
		left, why := s.Send(t.Context(), failure(), s.Ways())
		require.Empty(t, left)
		require.Empty(t, why)
	}
	other := failure()
	other.Cron = "other"
	_, why := s.Send(t.Context(), other, s.Ways())
	require.Empty(t, why)
	require.Len(t, box.mails, 3)
	got := box.mails[0]
	assert.Equal(t, "cron@example.com", got.from)
	assert.Equal(t, []string{"ops@example.com", "j@example.com"}, got.to)
	for line := range strings.Lines(got.text) {
		assert.True(t, strings.HasSuffix(line, "\r\n"), "%q", line)
		assert.LessOrEqual(t, len(line), 90, "%q", line)
		assert.NotContains(t, line, "ü", "it needs no server that knows 8BITMIME")
	}

	// As others read it.
	letter, err := mail.ReadMessage(strings.NewReader(got.text))
	require.NoError(t, err)
	subject, err := new(mime.WordDecoder).DecodeHeader(letter.Header.Get("Subject"))
	require.NoError(t, err)
	assert.Equal(t, "failed: import – näch on main of abcdefgh1234567", subject)
	from, err := letter.Header.AddressList("From")
	require.NoError(t, err)
	assert.Equal(t, "Cron Agent", from[0].Name)
	to, err := letter.Header.AddressList("To")
	require.NoError(t, err)
	assert.Equal(t, "Jürgen", to[1].Name)
	assert.Equal(t, "auto-generated", letter.Header.Get("Auto-Submitted"))
	sent, err := letter.Header.Date()
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), sent, time.Minute)
	kind, params, err := mime.ParseMediaType(letter.Header.Get("Content-Type"))
	require.NoError(t, err)
	assert.Equal(t, "text/plain utf-8", kind+" "+params["charset"])
	reader, err := message.CreateReader(strings.NewReader(got.text))
	require.NoError(t, err)
	part, err := reader.NextPart()
	require.NoError(t, err)
	body, err := io.ReadAll(part.Body)
	require.NoError(t, err)
	assert.Equal(t, `failed: import – näch

where:    environment main (production) of project abcdefgh1234567, app app
due:      Sat 2026-11-28 05:00:00 CET
started:  Sat 2026-11-28 05:00:01 CET, took 3s, attempt 3
why:      exit code 7
reason:   attempt 3 of 3
streak:   2 bad runs in a row, since Fri 2026-11-27 05:00:00 CET; the last success was Thu 2026-11-26 05:00:00 CET
run:      run2345abcdefghi

The last lines that it printed:

    one
    second line: Zürich 東京

To look further:

    cronagent logs import
`, strings.ReplaceAll(string(body), "\r\n", "\n"))

	// Mails about one cron are one thread, and the same message has the same ID.
	header := func(n int, name string) string {
		letter, err := mail.ReadMessage(strings.NewReader(box.mails[n].text))
		require.NoError(t, err)
		require.NotEmpty(t, letter.Header.Get(name), name)
		return letter.Header.Get(name)
	}
	for _, name := range []string{"References", "In-Reply-To", "Message-Id"} {
		assert.Equal(t, header(0, name), header(1, name))
		assert.NotEqual(t, header(0, name), header(2, name))
		assert.Regexp(t, `^<\S+@example\.com>$`, header(0, name))
	}
}

func TestAMailThatCannotBeSent(t *testing.T) {
	t.Parallel()
	box := mailbox{refuse: map[string]bool{"gone@example.com": true, "left@example.com": true}}
	address := box.start(t)
	send := func(server string, to ...string) (left []string, why string) {
		return (&notify.Sender{SMTP: server, From: "cron@example.com", To: to}).Send(t.Context(), failure(), []string{notify.Mail})
	}
	// One whom the server refuses keeps it from nobody, and it is not sent again for him.
	left, why := send(address, "gone@example.com", "ops@example.com")
	assert.Empty(t, left)
	assert.Contains(t, why, "mail: gone@example.com: ")
	assert.Contains(t, why, "no such user")
	require.Len(t, box.mails, 1)
	assert.Equal(t, []string{"ops@example.com"}, box.mails[0].to)
	left, why = send(address, "gone@example.com", "left@example.com")
	assert.Equal(t, []string{notify.Mail}, left)
	assert.Contains(t, why, "left@example.com: ")
	assert.Len(t, box.mails, 1)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := l.Addr().String()
	require.NoError(t, l.Close())
	left, why = send(closed, "ops@example.com")
	assert.Equal(t, []string{notify.Mail}, left)
	assert.Equal(t, "mail: mail server "+closed+": connect: connection refused", why)
	_, why = send("nowhere.invalid", "ops@example.com")
	assert.Contains(t, why, "mail: mail server nowhere.invalid:25: ")
}

// hooks is a web server that keeps what it got.
type hooks struct {
	mu       sync.Mutex
	requests []string
	bodies   []string
	answer   func(w http.ResponseWriter, r *http.Request)
}

func (h *hooks) start(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		h.requests = append(h.requests, r.Method+" "+r.URL.String()+" "+r.Header.Get("Content-Type")+" "+r.Header.Get("User-Agent"))
		h.bodies = append(h.bodies, string(body))
		h.mu.Unlock()
		if h.answer != nil {
			h.answer(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	var h hooks
	s := &notify.Sender{Webhook: h.start(t) + "/services/s3cr3t?a=b", UserAgent: "cronagent/test"}
	for _, m := range []notify.Message{failure(), {Event: "missed", Run: notify.Run{ID: "r", Outcome: "missed", Count: 1}}} {
		left, why := s.Send(t.Context(), m, s.Ways())
		require.Empty(t, left)
		require.Empty(t, why)
	}
	assert.Equal(t, "POST /services/s3cr3t?a=b application/json cronagent/test", h.requests[0])
	schema, err := jsonschema.NewCompiler().Compile("../../docs/webhook.schema.json")
	require.NoError(t, err)
	for _, body := range h.bodies {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		require.NoError(t, err)
		assert.NoError(t, schema.Validate(value), body)
	}
	var m notify.Message
	require.NoError(t, json.Unmarshal([]byte(h.bodies[0]), &m))
	want := failure()
	assert.Equal(t, "run2345abcdefghi-failure", m.ID)
	assert.Equal(t, want.Run.Due.UTC(), m.Run.Due.UTC())
	assert.Equal(t, 7, *m.Run.ExitCode)
	assert.Equal(t, "one\nsecond line: Zürich 東京", m.Run.Output)
	assert.Equal(t, want.Look, m.Look)
}

func TestPing(t *testing.T) {
	t.Parallel()
	var h hooks
	s := &notify.Sender{Ping: h.start(t) + "/uuid?create=1"}
	const id = "run2345abcdefghi"
	rid := notify.UUID(id)
	assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, rid)
	assert.NotEqual(t, rid, notify.UUID("another"))
	require.NoError(t, s.Start(t.Context(), id))
	code := func(outcome string, code int) notify.Run {
		return notify.Run{ID: id, Outcome: outcome, ExitCode: &code}
	}
	for _, c := range []struct {
		run  notify.Run
		want string
	}{
		{code("succeeded", 0), ""},
		{code("failed", 7), "/7"},
		{code("failed", 300), "/fail"},
		{notify.Run{ID: id, Outcome: "failed"}, "/fail"},
		{code("timed_out", 143), "/fail"},
		{notify.Run{ID: id, Outcome: "cancelled"}, "/fail"},
		{notify.Run{ID: id, Outcome: "missed"}, "/fail"},
		{code("uncertain", 6), "/fail"},
		{notify.Run{ID: id, Outcome: "fired"}, ""},
		{notify.Run{ID: id, Outcome: "fired", Pending: true}, "/log"},
		{notify.Run{ID: id, Outcome: "skipped"}, "/log"},
		{notify.Run{ID: id, Outcome: "deferred"}, "/log"},
	} {
		_, why := s.Send(t.Context(), notify.Message{Cron: "import", Run: c.run}, s.Ways())
		require.Empty(t, why)
		assert.Contains(t, h.requests[len(h.requests)-1], fmt.Sprintf("POST /uuid%s?create=1&rid=%s text/plain", c.want, rid))
		assert.Contains(t, h.bodies[len(h.bodies)-1], id, "as we call it")
	}
	assert.Contains(t, h.requests[0], "POST /uuid/start?create=1&rid="+rid)
	require.NoError(t, notify.Beat(t.Context(), strings.Replace(s.Ping, "uuid", "beat", 1), "me"))
	assert.Equal(t, "GET /beat?create=1  me", h.requests[len(h.requests)-1])
}

// What goes wrong is told with the host and nothing else of the address.
func TestWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	var h, elsewhere hooks
	other := elsewhere.start(t)
	base := h.start(t)
	h.answer = func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/s3cr3t/redirect":
			http.Redirect(w, r, other, http.StatusTemporaryRedirect)
		case "/s3cr3t/500":
			w.WriteHeader(500)
			fmt.Fprint(w, r.URL)
		}
	}
	host := strings.TrimPrefix(base, "http://")
	for address, want := range map[string]string{
		base + "/s3cr3t/redirect":                 host + ": it answers 307, a redirect, which is not followed",
		base + "/s3cr3t/500":                      host + ": it answers 500",
		"https" + base[4:] + "/s3cr3t":            host + ": http: server gave HTTP response to HTTPS client",
		"http://s3cr3t:s3cr3t@127.0.0.1:1/s3cr3t": "127.0.0.1:1: connect: connection refused",
		"http://nowhere.invalid/s3cr3t":           "nowhere.invalid: there is no such host",
		"http://a b/s3cr3t":                       "it is not a URL",
	} {
		s := &notify.Sender{Webhook: address, Ping: address}
		left, why := s.Send(t.Context(), failure(), []string{notify.Webhook})
		assert.Equal(t, []string{notify.Webhook}, left)
		if want == "nowhere.invalid: there is no such host" {
			assert.Contains(t, why, "webhook: nowhere.invalid: ") // whoever is asked may not know
		} else {
			assert.Equal(t, "webhook: "+want, why)
		}
		for _, text := range []string{why, fmt.Sprint(s.Start(t.Context(), "id")), fmt.Sprint(notify.Beat(t.Context(), address, ""))} {
			assert.NotContains(t, text, "s3cr3t")
		}
	}
	assert.Empty(t, elsewhere.requests)
}

func TestNothingIsSentToMetadata(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"169.254.169.254", "169.254.0.1", "[fe80::1]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]",
		"[fd00:ec2::254]", "100.100.100.200", "168.63.129.16", "192.0.0.192", "0.0.0.0", "[::]", "224.0.0.1", "[ff02::1]", "255.255.255.255",
		"0xa9fea9fe", "2852039166", "0251.0376.0251.0376",
	} {
		s := &notify.Sender{Webhook: "http://" + host + "/latest/meta-data"}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		_, why := s.Send(ctx, failure(), s.Ways())
		cancel()
		if strings.HasPrefix(host, "0x") || !strings.ContainsAny(host, ".:") || strings.HasPrefix(host, "0251") {
			assert.NotEmpty(t, why, host) // other spellings are names, which nobody has
			continue
		}
		assert.Contains(t, why, "to which nothing is sent", host)
	}
}

// Each way has its own time, and they are tried together.
func TestALimitForEachWay(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	box := mailbox{stuck: release}
	h := hooks{answer: func(http.ResponseWriter, *http.Request) { <-release }}
	s := &notify.Sender{SMTP: box.start(t), From: "cron@example.com", To: []string{"ops@example.com"}, Webhook: h.start(t), Ping: h.start(t)}
	t.Cleanup(func() { close(release) })
	began := time.Now()
	left, why := s.Send(t.Context(), failure(), s.Ways())
	assert.Equal(t, []string{notify.Mail, notify.Ping, notify.Webhook}, left)
	assert.Equal(t, 3, strings.Count(why, "no answer within 5s"), why)
	assert.Less(t, time.Since(began), 2*notify.Limit)
}

// Whatever a field holds, no secret gets out, and nothing that changes what it is in.
func TestWhatIsSentIsHarmless(t *testing.T) {
	t.Parallel()
	const secret, odd = "tok-4Zq9sX7vB2", "\r\nBcc: victim@example.com\x1b[31m\u202e"
	var box mailbox
	var h hooks
	url := h.start(t)
	s := &notify.Sender{SMTP: box.start(t), From: "cron@example.com", To: []string{"ops@example.com"}, Webhook: url, Ping: url,
		Mask: func(text string) string { return strings.ReplaceAll(text, secret, "***") }}
	text := "x" + secret + odd
	m := notify.Message{
		Event: "failure", Project: text, Environment: text, EnvironmentType: text, App: text, Cron: text, Operation: text,
		Run: notify.Run{ID: "id", Outcome: "failed", Reason: text, Error: text, Output: text + "\n" + strings.Repeat("y", 5000) + text,
			Activities: []notify.Activity{{ID: text, Type: text, State: text, Result: text}}},
		Look: []string{text},
	}
	left, why := s.Send(t.Context(), m, s.Ways())
	require.Empty(t, left)
	require.Empty(t, why)
	require.Len(t, h.bodies, 2)
	require.Len(t, box.mails, 1)
	assert.Equal(t, []string{"ops@example.com"}, box.mails[0].to)
	for _, sent := range append(h.bodies, box.mails[0].text) {
		assert.NotContains(t, strings.ReplaceAll(sent, "=\r\n", ""), secret)
		assert.NotContains(t, sent, "\x1b")
		assert.NotContains(t, sent, "\u202e")
		assert.NotContains(t, sent, "\nBcc:")
	}
	assert.Contains(t, m.Run.Activities[0].ID, secret, "what was given is left alone")
	letter, err := mail.ReadMessage(strings.NewReader(box.mails[0].text))
	require.NoError(t, err)
	assert.Empty(t, letter.Header.Get("Bcc"))
}

// The document describes every field, and no other.
func TestTheSchemaIsWhatIsSent(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/notifications.md")
	require.NoError(t, err)
	m := failure()
	m.Run.Activities = []notify.Activity{{}}
	data, err := json.Marshal(m)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(data, &fields))
	run := fields["run"].(map[string]any)
	for name := range fields {
		assert.Contains(t, string(text), "| `"+name+"` |")
	}
	for name := range run {
		assert.Contains(t, string(text), "| `run."+name+"` |")
	}
	for name := range run["activities"].([]any)[0].(map[string]any) {
		assert.Contains(t, string(text), "`"+name+"`")
	}
}
