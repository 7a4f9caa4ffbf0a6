package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	message "github.com/emersion/go-message/mail"
	"github.com/emersion/go-smtp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// post is where messages arrive: a mail server and a web server on loopback. It
// keeps what came as files mail1, mail2, ... and web1, web2, ... in the script's
// folder, and the last one of each as mail and web.
type post struct {
	dir string

	mu    sync.Mutex
	count map[string]int
	fails int           // answers of the web server that are to be 500
	hangs chan struct{} // until it is closed the mail server does not answer, and then refuses
	smtp  *smtp.Server
	host  string
}

func (p *post) keep(kind, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count[kind]++
	for _, name := range []string{kind + strconv.Itoa(p.count[kind]), kind} {
		_ = os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600) // a script misses it
	}
}

func (p *post) n(kind string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count[kind]
}

func (p *post) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.keep("web", r.Method+" "+r.URL.String()+"\n"+string(body)+"\n")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fails > 0 {
		p.fails--
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (p *post) NewSession(*smtp.Conn) (smtp.Session, error) { return &letterbox{p: p}, nil }

type letterbox struct {
	p        *post
	from, to string
}

func (l *letterbox) Reset()        {}
func (l *letterbox) Logout() error { return nil }
func (l *letterbox) Mail(from string, _ *smtp.MailOptions) error {
	l.from, l.to = from, ""
	return nil
}
func (l *letterbox) Rcpt(to string, _ *smtp.RcptOptions) error { l.to += " " + to; return nil }

// Data keeps the mail as a person reads it.
func (l *letterbox) Data(r io.Reader) error {
	l.p.mu.Lock()
	hangs := l.p.hangs
	l.p.mu.Unlock()
	if hangs != nil {
		<-hangs
		return &smtp.SMTPError{Code: 451, Message: "it was gone"}
	}
	reader, err := message.CreateReader(r)
	if err != nil {
		return err
	}
	subject, err := reader.Header.Subject()
	if err != nil {
		return err
	}
	part, err := reader.NextPart()
	if err != nil {
		return err
	}
	body, err := io.ReadAll(part.Body)
	if err != nil {
		return err
	}
	l.p.keep("mail", fmt.Sprintf("envelope: %s ->%s\nMessage-Id: %s\nAuto-Submitted: %s\nReferences: %s\nSubject: %s\n\n%s",
		l.from, l.to, reader.Header.Get("Message-Id"), reader.Header.Get("Auto-Submitted"), reader.Header.Get("References"), subject, strings.ReplaceAll(string(body), "\r\n", "\n")))
	return nil
}

// listen starts the mail server; its address stays the same when it is stopped and
// started again.
func (p *post) listen() error {
	address := p.host
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	p.host, p.smtp = l.Addr().String(), smtp.NewServer(p)
	p.smtp.Domain = "localhost"
	go func(s *smtp.Server) { _ = s.Serve(l) }(p.smtp)
	return nil
}

type postKey struct{}

// deliver sets up the post of a script: PLATFORM_SMTP_HOST and WEB are where it is.
func deliver(env *testscript.Env) error {
	p := &post{dir: env.WorkDir, count: map[string]int{}}
	if err := p.listen(); err != nil {
		return err
	}
	web := httptest.NewServer(p)
	env.Defer(func() { web.Close(); p.smtp.Close() })
	env.Values[postKey{}] = p
	env.Vars = append(env.Vars, "PLATFORM_SMTP_HOST="+p.host, "WEB="+web.URL, "MAILFROM=cron@example.com")
	return nil
}

func postOf(ts *testscript.TestScript) *post { return ts.Value(postKey{}).(*post) }

// came is `came mail|web N`: so many have come.
func came(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: came mail|web N")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	p := postOf(ts)
	if p.n(args[0]) < want { // those of run come while it goes on
		for deadline := time.Now().Add(30 * time.Second); p.n(args[0]) < want && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
	}
	if n := p.n(args[0]); n != want {
		ts.Fatalf("%d came by %s, want %d", n, args[0], want)
	}
}

// mailserver is `mailserver stop|start|hang|resume`.
func mailserver(ts *testscript.TestScript, neg bool, args []string) {
	switch p := postOf(ts); {
	case neg || len(args) != 1:
		ts.Fatalf("usage: mailserver stop|start|hang|resume")
	case args[0] == "stop":
		ts.Check(p.smtp.Close())
	case args[0] == "hang":
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hangs = make(chan struct{})
	case args[0] == "resume":
		p.mu.Lock()
		defer p.mu.Unlock()
		close(p.hangs)
		p.hangs = nil
	default:
		ts.Check(p.listen())
	}
}

// webfails is `webfails N`: the web server answers the next N requests by 500.
func webfails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: webfails N")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	p := postOf(ts)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails = n
}

// webhook is `webhook FILE`: it is what the schema says.
func webhook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: webhook FILE")
	}
	schema, err := jsonschema.NewCompiler().Compile("../../docs/webhook.schema.json")
	ts.Check(err)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(schema.Validate(value))
}
