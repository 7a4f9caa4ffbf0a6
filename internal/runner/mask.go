package runner

import "bytes"

// masker puts stars in place of secrets in a stream, wherever the pieces end in
// which it comes. Of what it is given it holds back only what could be the
// beginning of a secret.
type masker struct {
	secrets [][]byte
	// raw is what was given and not yet passed on, masked the same with the secrets
	// found so far covered: two secrets may overlap.
	raw, masked []byte
	// out is how much of it the last call passed on.
	out int
}

func newMasker(secrets []string) masker {
	var m masker
	for _, secret := range secrets {
		if secret != "" {
			m.secrets = append(m.secrets, []byte(secret))
		}
	}
	return m
}

// next takes a piece and returns what can be shown. It is valid until the next
// call.
func (m *masker) next(p []byte) []byte {
	m.raw = append(m.raw[:copy(m.raw, m.raw[m.out:])], p...)
	m.masked = append(m.masked[:copy(m.masked, m.masked[m.out:])], p...)
	hold := 0
	for _, secret := range m.secrets {
		for from := 0; ; from++ {
			i := bytes.Index(m.raw[from:], secret)
			if i < 0 {
				break
			}
			from += i
			// As long as the secret, so that what is cut off later stays cut off.
			for j := range secret {
				m.masked[from+j] = '*'
			}
		}
		// The first place from which on the rest is the beginning of a secret.
		for from := max(0, len(m.raw)-len(secret)+1); ; from++ {
			i := bytes.IndexByte(m.raw[from:], secret[0])
			if i < 0 {
				break
			}
			from += i
			if bytes.HasPrefix(secret, m.raw[from:]) {
				hold = max(hold, len(m.raw)-from)
				break
			}
		}
	}
	m.out = len(m.raw) - hold
	return m.masked[:m.out]
}

// rest is what was held back, when there will be no more.
func (m *masker) rest() []byte { return m.masked[m.out:] }
