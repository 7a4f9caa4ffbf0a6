package install_test

import (
	"io"
	"net"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

// letterbox takes every mail, and nobody reads it.
type letterbox struct{}

func (letterbox) NewSession(*smtp.Conn) (smtp.Session, error) { return letterbox{}, nil }
func (letterbox) Reset()                                      {}
func (letterbox) Logout() error                               { return nil }
func (letterbox) Mail(string, *smtp.MailOptions) error        { return nil }
func (letterbox) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (letterbox) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// mailServer is the address of a mail server that a container may use.
func mailServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := smtp.NewServer(letterbox{})
	server.Domain = "localhost"
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-done })
	return listener.Addr().String()
}
