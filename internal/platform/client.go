// Package platform speaks to the platform's API: it exchanges the API token,
// fires operations, and reads what is needed to explain a failure. Fire never
// waits for an activity (Wait does), never sends a POST twice that may have been
// taken, and never lets a secret out. It is called by main's wiring only.
package platform

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Client calls the API with one API token. It is safe for concurrent use; the
// access token that it gets in exchange is shared and stays in memory.
type Client struct {
	// APIURL and AuthURL are bases without a slash at the end. Plain http is
	// refused except to loopback.
	APIURL, AuthURL string
	// ClientID is the public OAuth2 client id.
	ClientID string
	// Token is the API token.
	Token Token
	// UserAgent names us to the servers.
	UserAgent string
	// CertFile and CertDir are the values of SSL_CERT_FILE and SSL_CERT_DIR, which
	// name the certificates of authorities. Empty: the system's.
	CertFile, CertDir string
	// Grace is how long a POST that was sent is still waited for when the context is
	// cancelled, which is when a signal has come: half a second more may tell whether
	// it was taken. Zero: not at all.
	Grace time.Duration
	// Known, if not nil, tells the ids of activities that came of other requests than
	// this Client's, so that none of them is taken for what a lost answer was about. It
	// is asked only then.
	Known func() []string
	// Log is told of every request at debug level: method, address, status and how
	// long it took, never of a header or a body. Nil: nobody is told.
	Log *slog.Logger
	// HTTP is how requests are sent. Nil: connections of our own, HTTP/1.1, with
	// the proxy that the environment names. Redirects are never followed, whatever
	// it says about them.
	HTTP *http.Client

	once   sync.Once
	client *http.Client
	random func(time.Duration) time.Duration // for Backoff; nil: rand.N

	fires fires

	// turn holds one thing, and access belongs to whoever has taken it, during an
	// exchange too, so that many fires make one. A channel and not a mutex: waiting
	// for another's exchange must end with one's own deadline.
	turn   chan struct{}
	access accessToken
}

// accessToken is what an API token is exchanged for: a bearer token that lives
// for minutes. It is behind a pointer for the reason that Token is.
type accessToken struct {
	secret  *string
	expires time.Time
}

// The limits of one answer. An operation's answer is small; a list of activities
// of a busy environment was seen to exceed a megabyte.
const (
	maxAnswer = 1 << 20
	maxList   = 8 << 20
)

// setUp makes a Client ready that is used for the first time.
func (c *Client) setUp() {
	c.once.Do(func() {
		c.turn = make(chan struct{}, 1)
		c.turn <- struct{}{}
		client := http.Client{Transport: c.ownTransport()}
		if c.HTTP != nil {
			client = *c.HTTP
		}
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		c.client = &client
	})
}

func (c *Client) ownTransport() *http.Transport {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSHandshakeTimeout: 10 * time.Second,
		// Shorter than any server's, so that a POST is hardly ever written to a
		// connection that the server has just closed.
		IdleConnTimeout: 5 * time.Second,
		// One request at a time on a connection: whether its bytes were written
		// decides whether it may be sent again.
		Protocols: new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(true)
	if strings.HasPrefix(c.APIURL, "https:") || strings.HasPrefix(c.AuthURL, "https:") {
		transport.TLSClientConfig = &tls.Config{RootCAs: roots(c.CertFile, c.CertDir)}
	}
	return transport
}

// answer is what came back of one request.
type answer struct {
	status int
	header http.Header
	at     time.Time // when the header had arrived
	body   []byte
	err    error // why body is not whole
}

// limited reads at most n bytes and tells whether that was all.
func limited(r io.Reader, n int64) (data []byte, err error) {
	data, err = io.ReadAll(io.LimitReader(r, n+1))
	if err == nil && int64(len(data)) > n {
		return data[:n], errTooLong
	}
	return data, err
}

// call is one request.
type call struct {
	op     string
	method string
	url    string
	auth   string // Authorization header; empty: none
	kind   string // Content-Type
	body   []byte
	limit  int64
	silent bool   // a 204 accepts it
	secret string // what of the body must not be repeated; empty: nothing
}

// send sends one request once. Without an answer the error is Unavailable if no
// connection was ever there to write the request to, else Uncertain.
func (c *Client) send(ctx context.Context, r call) (answer, *Error) {
	c.setUp()
	u, err := url.Parse(r.url)
	if err != nil {
		return answer{}, &Error{Kind: Failed, Op: r.op, Detail: "cannot make an address of its parts"}
	}
	if u.Scheme != "https" && !loopback(u.Hostname()) {
		return answer{}, &Error{Kind: Failed, Op: r.op, Host: u.Host, Detail: "credentials are not sent over plain http to " + u.Host}
	}
	// Set from the connection's goroutine, which may outlive the request.
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return answer{}, &Error{Kind: Failed, Op: r.op, Host: u.Host, Detail: "cannot make a request of its parts"}
	}
	if r.auth != "" {
		req.Header.Set("Authorization", r.auth)
	}
	req.Header.Set("User-Agent", c.UserAgent)
	req.Header.Set("Accept", "application/json")
	if r.kind != "" {
		req.Header.Set("Content-Type", r.kind)
	}
	began := time.Now()
	response, err := c.client.Do(req)
	if err != nil {
		e := &Error{Kind: Unavailable, Reason: NoConnection, Op: r.op, Host: u.Host, Detail: c.describe(r, u.Host, err)}
		if certificate(err) {
			e.Reason = BadCertificate
		}
		if connected.Load() {
			e.Kind, e.Reason = Uncertain, Unexplained
		}
		c.debug(r, began, slog.String("err", e.Detail))
		return answer{}, e
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode, header: response.Header, at: time.Now()}
	a.body, a.err = limited(response.Body, r.limit)
	// What repeats the credentials must not get into names, records and logs. A token
	// that is too short to be one would be found by chance.
	if body := string(a.body); len(c.Token.reveal()) >= 8 && len(r.auth) >= len("Bearer ")+8 {
		if clean := c.redact(r, body); clean != body {
			a.body = []byte(clean)
		}
	}
	c.debug(r, began, slog.Int("status", a.status), slog.Int("bytes", len(a.body)))
	return a, nil
}

// debug logs one request.
func (c *Client) debug(r call, began time.Time, end ...slog.Attr) {
	if c.Log == nil {
		return
	}
	attrs := []slog.Attr{slog.String("method", r.method), slog.String("url", r.url), slog.Duration("took", time.Since(began).Round(time.Millisecond))}
	c.Log.LogAttrs(context.Background(), slog.LevelDebug, "request", append(attrs, end...)...)
}

// describe puts a network error into words without the URL, which net/http adds.
func (c *Client) describe(r call, host string, err error) string {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	text := err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		text = "no answer in time"
	case errors.Is(err, context.Canceled):
		text = "interrupted"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		text = "it closed the connection without an answer"
	// net/http quotes a part of what it got, and that may be a part of a secret.
	case strings.Contains(text, "malformed "):
		text = "the answer is no HTTP"
	}
	if !strings.Contains(text, host) {
		text = host + ": " + text
	}
	return shorten(c.redact(r, text))
}

func certificate(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.SystemRootsError](err)
	return ok
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// refusal is the error for an answer that is no success, before anybody has
// looked at what it means for the request.
func (c *Client) refusal(r call, a answer) *Error {
	e := &Error{Kind: Failed, Op: r.op, Host: hostOf(r.url), Status: a.status, retryAfter: retryAfter(a.header)}
	complaint, ok := readComplaint(a.body)
	switch {
	case a.status >= 300 && a.status < 400:
		e.Reason, e.Detail = Redirected, "it points elsewhere, and credentials do not follow"
	case ok:
		// Redacted before it is cut, or half a secret could be left at the end.
		e.Detail = shorten(c.redactAll(r, complaint.text()))
	case len(bytes.TrimSpace(a.body)) == 0:
		e.Reason, e.Detail = NotFromAPI, "the answer is empty"
	default:
		e.Reason, e.Detail = NotFromAPI, "the answer is no JSON, so it is not the API's own"
	}
	// RFC 9470: a new token from the same API token would be refused as well.
	if a.status == http.StatusUnauthorized && strings.Contains(strings.Join(a.header.Values("WWW-Authenticate"), ","), "insufficient_user_authentication") {
		e.Kind, e.Reason = Unauthorized, StepUp
	}
	return e
}

func hostOf(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Host
	}
	return ""
}

// minSecret is how long the value of a variable must be to be looked for in the
// API's words, in bytes.
const minSecret = 4

// redactAll is redact for words about a request, out of which the value of a
// variable goes too.
func (c *Client) redactAll(r call, text string) string {
	text = c.redact(r, text)
	if len(r.secret) >= minSecret { // what is shorter would be found by chance
		text = NewToken(r.secret).Redact(text)
	}
	return text
}

// redact takes the credentials of a request out of the words that answer it.
func (c *Client) redact(r call, text string) string {
	text = c.Token.Redact(text)
	if _, credentials, ok := strings.Cut(r.auth, " "); ok && credentials != "" {
		text = strings.ReplaceAll(text, credentials, masked)
	}
	return text
}

// share returns a context that ends when the given part of what is left of ctx's
// deadline has passed, but not before least has, and never after ctx.
func share(ctx context.Context, numerator, denominator, least time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, max(time.Until(deadline)*numerator/denominator, least))
}

// repeat sends a request that may be repeated freely until it gets an answer
// that repeating would not better, or the deadline is near. One try gets a third
// of what is left, so that a server that hangs leaves time for another try; but
// never less than a second, which is a hurry already.
func (c *Client) repeat(ctx context.Context, r call) (answer, *Error) {
	for try := 0; ; try++ {
		tryCtx, cancel := share(ctx, 1, 3, time.Second)
		a, e := c.send(tryCtx, r)
		cancel()
		switch {
		case e != nil:
			if e.Kind == Failed || e.Reason == BadCertificate {
				return answer{}, e
			}
			e.Kind, e.Reason = Unavailable, NoConnection
		case a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout || a.status >= 500:
			e = c.refusal(r, a)
			e.Kind = Unavailable
		case a.status < 300 && (a.err != nil || !json.Valid(a.body)):
			e = &Error{Kind: Unavailable, Reason: NotFromAPI, Op: r.op, Host: hostOf(r.url), Status: a.status, Detail: "the answer is not the JSON that the API sends"}
		default:
			return a, nil
		}
		if !c.pause(ctx, try, e.retryAfter) {
			return answer{}, e
		}
	}
}

// authorize returns the Authorization header for the API, exchanging the API
// token if there is no access token or if it is the one that was just refused.
func (c *Client) authorize(ctx context.Context, refused string) (string, *Error) {
	c.setUp()
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		r := c.exchangeCall()
		return "", &Error{Kind: Unavailable, Reason: NoConnection, Op: r.op, Host: hostOf(r.url), Detail: c.describe(r, hostOf(r.url), ctx.Err())}
	}
	if c.access.secret != nil && time.Now().Before(c.access.expires) && bearer(c.access) != refused {
		return bearer(c.access), nil
	}
	c.access = accessToken{}
	access, e := c.exchange(ctx)
	if e != nil {
		return "", e
	}
	c.access = access
	return bearer(access), nil
}

func bearer(a accessToken) string { return "Bearer " + *a.secret }

func (c *Client) exchangeCall() call {
	return call{
		op:     "exchange the API token",
		method: http.MethodPost,
		url:    c.AuthURL + "/oauth2/token",
		auth:   "Basic " + base64.StdEncoding.EncodeToString([]byte(c.ClientID+":")),
		kind:   "application/x-www-form-urlencoded",
		body:   []byte(url.Values{"grant_type": {"api_token"}, "api_token": {c.Token.reveal()}}.Encode()),
		limit:  maxAnswer,
	}
}

// exchange asks the token endpoint for an access token. It may be repeated: an
// exchange changes nothing.
func (c *Client) exchange(ctx context.Context) (accessToken, *Error) {
	r := c.exchangeCall()
	if c.Token.IsZero() {
		return accessToken{}, &Error{Kind: Unauthorized, Reason: NoToken, Op: r.op, Detail: "there is no API token"}
	}
	asked := time.Now()
	a, e := c.repeat(ctx, r)
	if e != nil {
		return accessToken{}, e
	}
	if a.status < 200 || a.status > 299 {
		e := c.refusal(r, a)
		said, ok := readComplaint(a.body)
		if ok && (a.status == http.StatusBadRequest || a.status == http.StatusUnauthorized || a.status == http.StatusForbidden) {
			e.Kind, e.Reason = Unauthorized, TokenRefused
			if strings.Contains(said.ErrorDescription, "SSO session") {
				e.Reason = SessionExpired
			}
		}
		return accessToken{}, e
	}
	var token struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   any    `json:"expires_in"`
	}
	if json.Unmarshal(a.body, &token) != nil || token.AccessToken == "" {
		return accessToken{}, &Error{Kind: Failed, Reason: NotFromAPI, Op: r.op, Host: hostOf(r.url), Status: a.status, Detail: "the answer holds no access token"}
	}
	// A control character would end the header that the token goes into.
	if strings.ContainsFunc(token.AccessToken, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return accessToken{}, &Error{Kind: Failed, Reason: NotFromAPI, Op: r.op, Host: hostOf(r.url), Status: a.status, Detail: "the access token holds characters that no header can"}
	}
	// A minute early, as the vendor's own SDK does, so that it does not expire
	// on the way.
	return accessToken{&token.AccessToken, asked.Add(lifetime(token.ExpiresIn) - time.Minute)}, nil
}

// lifetime reads expires_in, seconds that may arrive as a string. Without it a
// token is taken to live for five minutes; servers were seen to give fifteen.
func lifetime(expiresIn any) time.Duration {
	seconds, err := strconv.ParseFloat(fmt.Sprint(expiresIn), 64)
	if err != nil || !(seconds > 0 && seconds <= 1e6) { // NaN is neither
		return 5 * time.Minute
	}
	return time.Duration(seconds * float64(time.Second))
}
