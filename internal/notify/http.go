package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// webhook posts the message as JSON.
func (s *Sender) webhook(ctx context.Context, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return send(ctx, s.Webhook, s.UserAgent, "application/json", body)
}

// ping tells a check how a run ended, with the message as the text to look at.
func (s *Sender) ping(ctx context.Context, m Message) error {
	return s.signal(ctx, signalOf(m.Run), m.Run.ID, m.Text)
}

// signalOf is what is added to a check's address: nothing for a success.
func signalOf(r Run) string {
	switch r.Outcome {
	case "succeeded":
		return ""
	case "fired":
		if r.Pending {
			return "log" // accepted is not done
		}
		return ""
	case "skipped", "deferred":
		return "log"
	}
	if r.Outcome == "failed" && r.ExitCode != nil && *r.ExitCode > 0 && *r.ExitCode < 256 {
		return strconv.Itoa(*r.ExitCode)
	}
	return "fail"
}

// signal sends one signal. A check takes UUIDs only for the IDs of runs.
func (s *Sender) signal(ctx context.Context, signal, runID, text string) error {
	address, err := url.Parse(s.Ping)
	if err != nil {
		return errors.New("it is not a URL")
	}
	if signal != "" {
		address = address.JoinPath(signal)
	}
	query := address.Query()
	query.Set("rid", UUID(runID))
	address.RawQuery = query.Encode()
	return send(ctx, address.String(), s.UserAgent, "text/plain; charset=utf-8", []byte(text))
}

// UUID is the ID of a run in the form of a UUID, always the same for one run. It
// is one of version 8 (RFC 9562), made of the ID's SHA-256.
func UUID(runID string) string {
	sum := sha256.Sum256([]byte(runID))
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// newClient makes what requests are sent by: to addresses that lead nowhere that is
// not meant, with no proxy in between that could lead there, and without following
// redirects.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Control: refuse}).DialContext,
			DisableKeepAlives:      true, // the next message is hours away
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send sends one request: a POST with a body, a GET without a type. Its errors name
// the host and nothing else of the address.
func send(ctx context.Context, address, userAgent, contentType string, body []byte) error {
	method := http.MethodPost
	if contentType == "" {
		method = http.MethodGet
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return errors.New("it is not a URL")
	}
	request.Header.Set("User-Agent", userAgent)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	host := request.URL.Host
	response, err := newClient().Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", host, reason(err))
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10) // what it says is not for us
	switch {
	case response.StatusCode/100 == 2:
		return nil
	case response.StatusCode/100 == 3:
		return fmt.Errorf("%s: it answers %d, a redirect, which is not followed", host, response.StatusCode)
	}
	return fmt.Errorf("%s: it answers %d", host, response.StatusCode)
}

// reason is the cause of a network error: what wraps it names the address.
func reason(err error) error {
	if e, ok := errors.AsType[*forbiddenError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return errors.New("there is no such host")
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Err != nil {
		return e.Err
	}
	return err
}

// forbiddenError says that an address leads where nothing is to be sent.
type forbiddenError struct{ ip netip.Addr }

func (e *forbiddenError) Error() string {
	return fmt.Sprintf("it leads to %s, a link-local, metadata or multicast address, to which nothing is sent", e.ip)
}

// forbidden are where services of the machine and of clouds listen that trust
// whoever can reach them: link-local addresses, and those that clouds use besides
// them for metadata (Alibaba, Oracle, Azure, AWS, Google).
var forbidden = prefixes("169.254.0.0/16 fe80::/10 100.100.100.200/32 192.0.0.192/32 168.63.129.16/32 fd00:ec2::/32 fd20:ce::/32 " +
	"0.0.0.0/8 ::/128 224.0.0.0/4 240.0.0.0/4 ff00::/8")

func prefixes(text string) (all []netip.Prefix) {
	for _, one := range strings.Fields(text) {
		all = append(all, netip.MustParsePrefix(one))
	}
	return all
}

// refuse is asked before each connection, when the name has been resolved.
func refuse(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return errors.New("it has no address")
	}
	ip := at.Addr().Unmap().WithZone("")
	for _, one := range []netip.Addr{ip, embedded(ip)} {
		for _, prefix := range forbidden {
			if prefix.Contains(one) {
				return &forbiddenError{ip}
			}
		}
	}
	return nil
}

var (
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
	sixTo = netip.MustParsePrefix("2002::/16")
)

// embedded is the IPv4 address that a gateway would make of an IPv6 address; ip
// itself if there is none.
func embedded(ip netip.Addr) netip.Addr {
	if !ip.Is6() {
		return ip
	}
	b := ip.As16()
	switch {
	case nat64.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:]))
	case sixTo.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip
}
