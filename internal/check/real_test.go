package check_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/check"
)

// realCrons names a directory of crons from public repositories, each with its
// origin on the first line, as deep or as commented out as it stood there.
const realCrons = "CRONAGENT_REAL_CRONS"

// reals are what is found in them, by hand checked against what they say: cron, code,
// and the words that it is about.
var reals = map[string][]string{
	"02": {"snapshot cmd-deprecated cmd", `snapshot guard-branch "$SYMFONY_BRANCH`, "snapshot backup-quota env:snapshot", "snapshot removed-command env:snapshot", "renewcert cmd-deprecated cmd", `renewcert guard-branch "$SYMFONY_BRANCH`, "renewcert redeploy-certificate redeploy"},
	"04": {"snapshot cmd-deprecated cmd", `snapshot guard-branch "$PLATFORM_BRANCH`, "snapshot backup-quota snapshot", "snapshot removed-command snapshot", "renewcert cmd-deprecated cmd", `renewcert guard-branch "$PLATFORM_BRANCH`, "renewcert redeploy-certificate redeploy"},
	"12": {"update unguarded source-operation"},
	"14": {"drupal cmd-deprecated cmd", "backup cmd-deprecated cmd", "backup backup-quota backup"},
	"16": {"backup backup-quota backup"},
	"18": {"update unguarded sync", "update unguarded source-operation"},
	"20": nil,
	"22": {" yaml *"},
	"24": {`autoscaller spec-interval "*/1`},
	"26": {"comment_cleanup cmd-deprecated cmd", `comment_cleanup guard-branch "$SYMFONY_BRANCH`},
	"28": {"upload_logs_to_s3 collision '0", "upload_logs_to_s3 guard-exit [", `upload_logs_to_s3 guard-branch "$PLATFORM_BRANCH`},
	"30": {"security-check cmd-deprecated cmd", "clean-expired-sessions cmd-deprecated cmd"},
	"32": nil,
	"34": {"import-vendors cmd-deprecated cmd"},
	"36": nil,
	"38": {"magento commands-string bash", "logrotate commands-string shtool", "reportcleanup commands-string find"},
	"40": nil,
	"42": nil,
	"44": {"segments cmd-deprecated cmd", "campaignsupdate cmd-deprecated cmd", "campaignstrigger cmd-deprecated cmd"},
	"46": {"scheduler cmd-deprecated cmd"},
	"48": nil,
}

func init() {
	reals["06"], reals["08"] = reals["04"], reals["04"]
	for _, one := range reals["04"] {
		reals["10"] = append(reals["10"], "auto_"+one)
	}
}

// asMeant takes a block out of its place: without the comment marks of a block that
// is commented out as a whole, and without what all lines are indented by.
func asMeant(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")[1:]
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), "crons:") }) {
		mark := regexp.MustCompile(`^ *# ?`)
		var kept []string
		for _, l := range lines {
			if bare := mark.ReplaceAllString(l, ""); len(kept) > 0 || strings.HasPrefix(bare, "crons:") {
				kept = append(kept, bare)
			}
		}
		if !strings.HasPrefix(kept[1], " ") {
			for i := range kept[1:] {
				kept[i+1] = " " + kept[i+1]
			}
		}
		return strings.Join(kept, "\n") + "\n"
	}
	indent := len(lines[0]) - len(strings.TrimLeft(lines[0], " "))
	for i, l := range lines {
		lines[i] = l[min(indent, len(l)-len(strings.TrimLeft(l, " "))):]
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestRealCrons(t *testing.T) {
	t.Parallel()
	dir := os.Getenv(realCrons)
	if dir == "" {
		t.Skipf("%s names no directory of real crons", realCrons)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	require.NoError(t, err)
	assert.Len(t, files, len(reals))
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		text := asMeant(string(data))
		lines := strings.Split(text, "\n")
		var got []string
		for _, f := range found(t, text+"\n-- index_external_sites.sh --\n./index\n", check.Options{}) {
			at := lines[f.Line-1][f.Column-1:]
			word, _, _ := strings.Cut(strings.FieldsFunc(at, func(r rune) bool { return r == ' ' })[0], `" `)
			if i := strings.IndexByte(word, ':'); i > 0 && !strings.HasPrefix(word, "env:") {
				word = word[:i]
			}
			word = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(word, ":create"), `"`), ":")
			got = append(got, fmt.Sprint(f.Cron, " ", f.Code, " ", word))
		}
		want := reals[filepath.Base(file)[:2]]
		assert.ElementsMatch(t, want, got, "%s\n%s", filepath.Base(file), text)
	}
}
