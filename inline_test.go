package install_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// span is `code` in the prose of a document.
type span struct {
	line int
	text string
}

var (
	codeSpan  = regexp.MustCompile("(?s)(`+)(.+?)(`+)")
	callsOurs = regexp.MustCompile(`^(?:[A-Z_]+=\S* )*(?:\S*/)?(cronagent|platform|upsun|webpaas) `)
)

// spans are the code of the prose. One may go over a line's end, not over a paragraph's.
func (d document) spans() []span {
	var all []span
	line := 1
	for paragraph := range strings.SplitSeq(d.prose, "\n\n") {
		for _, found := range codeSpan.FindAllStringSubmatchIndex(paragraph, -1) {
			text := paragraph[found[4]:found[5]]
			all = append(all, span{line + strings.Count(paragraph[:found[0]], "\n"), strings.Join(strings.Fields(text), " ")})
		}
		line += strings.Count(paragraph, "\n") + 2
	}
	return all
}

// onlyTheirs are commands of the platform CLI that cronagent hands over to it, and
// that documents name.
var onlyTheirs = []string{"log"}

// helps are the helps of commands, by how they are called, as asked for once.
type helps struct {
	mu   sync.Mutex
	text map[string]string
}

// of asks a command for its help. It is empty if there is no such command.
func (h *helps) of(t *testing.T, binary string, command ...string) string {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	key := strings.Join(append([]string{filepath.Base(binary)}, command...), " ")
	if text, ok := h.text[key]; ok {
		return text
	}
	cmd := exec.Command(binary, append(command, "--help")...)
	cmd.Env = []string{"PATH=/nonexistent"}
	out, err := cmd.Output()
	text := string(out)
	if err != nil {
		text = ""
	}
	h.text[key] = text
	return text
}

// TestInlineCommands: every command of ours that a document names in its prose exists,
// and has the flags that it is named with.
func TestInlineCommands(t *testing.T) {
	t.Parallel()
	releaseURL(t)
	h := &helps{text: map[string]string{}}
	theirs := map[string]bool{}
	commands := 0
	for _, d := range documents(t) {
		for _, s := range d.spans() {
			if a := apartFrom(s.text); a != nil && a.instead != nil {
				a.instead(t, s.text)
			}
			if callsOurs.MatchString(s.text) {
				commands++
				h.check(t, d.name, s, theirs)
			}
		}
	}
	assert.Greater(t, commands, 60)
	for _, name := range onlyTheirs {
		assert.True(t, theirs[name], "no document says %q any more: it needs no exception", name)
	}
}

var (
	commandWord = regexp.MustCompile(`^[a-z][a-z0-9:-]*$`)
	redirection = regexp.MustCompile(` (\||<|>|2>|&&|;) .*$`)
)

// check holds one command against the helps of the program.
func (h *helps) check(t *testing.T, document string, s span, theirs map[string]bool) {
	t.Helper()
	name := callsOurs.FindStringSubmatch(s.text)[1]
	all := words(t, strings.ReplaceAll(redirection.ReplaceAllString(s.text, ""), "…", ""))
	for strings.Contains(all[0], "=") {
		all = all[1:]
	}
	binary := filepath.Join(scratch, name)
	all = all[1:]
	if len(all) == 0 {
		return
	}
	var command []string
	if commandWord.MatchString(all[0]) {
		command = all[:1]
		// fire has subcommands, and nothing else has.
		if all[0] == "fire" && len(all) > 1 && commandWord.MatchString(all[1]) && strings.Contains(h.of(t, binary, all[0]), "\n  "+all[1]+" ") {
			command = all[:2]
		}
	}
	if name != "cronagent" && len(command) > 0 && slices.Contains(onlyTheirs, command[0]) {
		theirs[command[0]] = true
		return
	}
	help := h.of(t, binary, command...)
	// cobra prints the root's help for what it does not know.
	if help == "" || len(command) > 0 && !strings.HasPrefix(help, "usage: ") && !strings.Contains(help, "\n  cronagent "+strings.Join(command, " ")) {
		t.Errorf("%s:%d: there is no command %q", document, s.line, s.text)
		return
	}
	for _, word := range all[len(command):] {
		if word == "--" {
			break
		}
		flag, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(flag, "-") && flag != "-" {
			known := regexp.MustCompile(`(^|[\s,])` + regexp.QuoteMeta(flag) + `\b`).MatchString(help)
			assert.True(t, known, "%s:%d: there is no %s of %q", document, s.line, flag, s.text)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	notSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are those that a forge makes of a document's headings.
func (d document) anchors() []string {
	var all []string
	for _, found := range heading.FindAllStringSubmatch(d.prose, -1) {
		slug := strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-")
		all = append(all, slug)
	}
	return all
}

// TestDocumentLinks: what a document links to within the repository is there, down to the
// heading, and docs/README.md leads to every page.
func TestDocumentLinks(t *testing.T) {
	t.Parallel()
	known := map[string]document{}
	for _, d := range documents(t) {
		known[d.name] = d
	}
	links := 0
	indexed := map[string]bool{}
	for name, d := range known {
		for _, found := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(d.prose, ""), -1) {
			target := found[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			links++
			path, anchor, _ := strings.Cut(target, "#")
			file := name
			if path != "" {
				file = filepath.Join(filepath.Dir(name), path)
				if name == "docs/README.md" {
					indexed[file] = true
				}
				if !assert.FileExists(t, file, "%s links to %s", name, target) {
					continue
				}
			}
			if anchor != "" {
				assert.Contains(t, known[file].anchors(), anchor, "%s links to %s", name, target)
			}
		}
	}
	assert.Greater(t, links, 30)
	for name := range known {
		if filepath.Dir(name) == "docs" && name != "docs/README.md" {
			assert.True(t, indexed[name], "docs/README.md does not name %s", name)
		}
	}
}
