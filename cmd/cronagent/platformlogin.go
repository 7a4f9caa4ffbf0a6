package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cronagent/cronagent/internal/platform"
)

// tokenLogin tests a token that comes from standard input, or else the variable's.
// It is kept nowhere.
func (c *cliCall) tokenLogin(ctx context.Context) error {
	if len(c.words) > 0 {
		return usage("put it into a file: auth:api-token-login < FILE", "%s: a token is not taken as an argument, where others can see it", c.o.Name)
	}
	token, err := readToken(ctx)
	if err != nil {
		return err
	}
	source := "standard input"
	if token.IsZero() {
		source = "the variable " + c.env.TokenVariable
		token = c.proc.token(c.env)
	}
	if token.IsZero() {
		return usage("auth:api-token-login < FILE, or set PLATFORMSH_CLI_TOKEN", "%s: there is no token, neither on standard input nor in a variable", c.o.Name)
	}
	client := c.proc.client(c.env)
	client.Token = token
	user, err := client.Me(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.stderr, "The API token (from %s) is valid: it belongs to %s (%s).\nNothing was stored: keep the token in the variable %s.\n",
		source, safe(user.Username), safe(user.Email), c.tokenVariable())
	return err
}

// tokenVariable is where the token belongs.
func (c *cliCall) tokenVariable() string {
	if c.env.TokenVariable != "" {
		return c.env.TokenVariable
	}
	return c.env.Vendor.Prefix + "TOKEN"
}

// maxToken bounds an API token, in bytes.
const maxToken = 16 << 10

// readToken reads a token from standard input, unless that is a terminal or no
// input at all. Without one the token is zero.
func readToken(ctx context.Context) (platform.Token, error) {
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice != 0 {
		return platform.Token{}, nil // a terminal, or /dev/null
	}
	type input struct {
		data []byte
		err  error
	}
	done := make(chan input, 1)
	go func() {
		data, err := io.ReadAll(io.LimitReader(os.Stdin, maxToken+1))
		done <- input{data, err}
	}()
	select {
	case in := <-done:
		if in.err == nil && len(in.data) > maxToken {
			in.err = errors.New("that is too long for a token")
		}
		if in.err != nil {
			return platform.Token{}, fmt.Errorf("read the token from standard input: %w", in.err)
		}
		return platform.NewToken(string(in.data)), nil
	case <-ctx.Done(): // whoever holds the pipe open has forgotten it
		return platform.Token{}, fmt.Errorf("read the token from standard input: it did not end in time")
	}
}
