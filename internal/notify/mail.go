package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-smtp"
)

// refusedError says that a mail went out, but not to everybody.
type refusedError struct{ error }

// mail sends one mail to all. One of them whom the server refuses does not keep it
// from the others.
func (s *Sender) mail(ctx context.Context, m Message) error {
	from, err := mail.ParseAddress(s.From)
	if err != nil {
		return fmt.Errorf("%q is not an address to send from", s.From)
	}
	to, err := mail.ParseAddressList(strings.Join(s.To, ", "))
	if err != nil {
		return errors.New("there is an address to send to that is none")
	}
	text, err := letter(from, to, m)
	if err != nil {
		return err
	}
	server := s.SMTP
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(strings.Trim(server, "[]"), "25")
	}
	if err := deliver(ctx, server, from, to, text); err != nil {
		if _, some := errors.AsType[*refusedError](err); some {
			return err
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("mail server %s: %w", server, err)
	}
	return nil
}

// deliver speaks to the server.
func deliver(ctx context.Context, server string, from *mail.Address, to []*mail.Address, text []byte) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return reason(err)
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c := smtp.NewClient(conn)
	defer c.Close()
	if err := c.Mail(from.Address, nil); err != nil {
		return err
	}
	var refused []error
	for _, one := range to {
		if err := c.Rcpt(one.Address, nil); err != nil {
			refused = append(refused, fmt.Errorf("%s: %w", one.Address, err))
		}
	}
	if len(refused) == len(to) {
		return errors.Join(refused...)
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // it has been taken
	if len(refused) > 0 {
		return &refusedError{errors.Join(refused...)}
	}
	return nil
}

// letter is the mail as it is sent.
func letter(from *mail.Address, to []*mail.Address, m Message) ([]byte, error) {
	domain := "cronagent.invalid"
	if at := strings.LastIndexByte(from.Address, '@'); at >= 0 {
		domain = from.Address[at+1:]
	}
	// All mails about one cron are one thread, begun by a mail that never was.
	sum := sha256.Sum256([]byte(strings.Join([]string{m.Project, m.Environment, m.App, m.Cron, m.Operation}, "\x00")))
	thread := hex.EncodeToString(sum[:10]) + "@" + domain
	var h mail.Header
	h.SetAddressList("From", []*mail.Address{from})
	h.SetAddressList("To", to)
	h.SetSubject(m.Title)
	h.SetDate(m.SentAt)
	h.SetMessageID(m.ID + "." + hex.EncodeToString(sum[10:14]) + "@" + domain)
	h.SetMsgIDList("In-Reply-To", []string{thread})
	h.SetMsgIDList("References", []string{thread})
	// By RFC 3834: nobody's holiday notice is to answer this.
	h.Set("Auto-Submitted", "auto-generated")
	h.Set("X-Auto-Response-Suppress", "All")
	h.SetContentType("text/plain", map[string]string{"charset": "utf-8"})
	h.Set("Content-Transfer-Encoding", "quoted-printable")
	var b bytes.Buffer
	w, err := mail.CreateSingleInlineWriter(&b, h)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte(m.Text)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
