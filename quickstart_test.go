package install_test

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/stretchr/testify/assert"
)

// quickstarts are the pages that begin with nothing, and the variable that each puts
// the token into.
var quickstarts = map[string]string{
	"docs/quickstart-platformsh.md": "PLATFORMSH_CLI_TOKEN",
	"docs/quickstart-upsun.md":      "UPSUN_CLI_TOKEN",
	"docs/quickstart-webpaas.md":    "OVHCLOUD_WEBPAAS_CLI_TOKEN",
}

// The API tokens that a reader finds in robot-token.txt and new-token.txt.
const (
	robotToken = "tok-robot-8Kq2Lm4Zx"
	newToken   = "tok-second-5Vb7Nc1Qw"
)

// checkQuickstart is what must have come of such a page.
func (p *page) checkQuickstart(variable string) {
	var accepted []string
	for _, a := range p.server.Accepted() {
		accepted = append(accepted, a.User+" "+a.Operation)
	}
	assert.Equal(p.t, []string{
		"cron-bot invite", "cron-bot variable-create", "cron-bot variable-update",
		"later backup", // the cron
		"later backup", // by hand
	}, accepted)
	var created string
	for _, r := range p.server.Requests() {
		if r.Method == "POST" && strings.HasSuffix(r.Path, "/variables") {
			created = r.Body
		}
	}
	assert.Contains(p.t, created, `"is_sensitive":true`)
	assert.Contains(p.t, created, `"is_inheritable":false`)
	assert.Equal(p.t, newToken, p.server.Variable("main", "env:"+variable))
	assert.Empty(p.t, p.server.Variable("staging", "env:"+variable), "a preview does not have it")
	output := p.output.String()
	for _, want := range []string{
		"cron-bot@example.com", "it belongs to machine", "[Hidden: sensitive value]", "fired backup:create on main, activity ", "POST " + p.address + "/projects/",
		"is complete (success)", "| Backup ID ",
	} {
		assert.Contains(p.t, output, want)
	}
	for _, token := range []string{robotToken, newToken} {
		assert.NotContains(p.t, output, token)
	}
	_, err := os.Stat(filepath.Join(p.home, "robot-token.txt"))
	assert.ErrorIs(p.t, err, os.ErrNotExist)
}
