package install_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/syntax"
)

// document is a page for people, taken apart.
type document struct {
	name   string // its path from the root of the module
	blocks []block
	// prose is the page with its blocks emptied, line by line.
	prose string
}

// block is what stands between fences.
type block struct {
	line int // of the opening fence
	// kind is "sh" for what is typed on the reader's machine, "sh container" for a
	// shell of the container, and the language for what nobody types.
	kind string
	// status is what the last command of the block is to end with: exit=N.
	status int
	text   string
}

var fence = regexp.MustCompile("^( *)(`{3,})(.*)$")

// languages are those of blocks that nobody types.
var languages = []string{"yaml", "text", "json"}

// readDocument takes a page apart. A block that is indented loses its indent.
func readDocument(t *testing.T, name string) document {
	t.Helper()
	d := document{name: name}
	var open *block
	var indent, ticks string
	var prose []string
	for i, line := range strings.Split(read(t, name), "\n") {
		found := fence.FindStringSubmatch(line)
		switch {
		case open == nil && found == nil:
			prose = append(prose, line)
			continue
		case open == nil:
			indent, ticks = found[1], found[2]
			open = &block{line: i + 1}
			info := strings.Fields(found[3])
			if last := len(info) - 1; last > 0 && strings.HasPrefix(info[last], "exit=") {
				status, err := strconv.Atoi(strings.TrimPrefix(info[last], "exit="))
				require.NoError(t, err, "%s:%d", name, i+1)
				open.status, info = status, info[:last]
			}
			open.kind = strings.Join(info, " ")
			assert.True(t, open.kind == "sh" || open.kind == "sh container" || slices.Contains(languages, open.kind) && open.status == 0,
				"%s:%d: what is in this block? sh, sh container, %s", name, i+1, strings.Join(languages, ", "))
		case found != nil && found[2] == ticks && found[3] == "":
			d.blocks = append(d.blocks, *open)
			open = nil
		default:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		}
		prose = append(prose, "")
	}
	require.Nil(t, open, "%s: a block has no end", name)
	d.prose = strings.Join(prose, "\n")
	return d
}

// documents are all pages, and the example, whose comments are prose and whose rest
// is a configuration.
func documents(t *testing.T) []document {
	t.Helper()
	var all []document
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/checks/*.md"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range names {
			all = append(all, readDocument(t, name))
		}
	}
	require.Greater(t, len(all), 50)
	const example = "examples/.platform.app.yaml"
	text := read(t, example)
	var comments []string
	for line := range strings.Lines(text) {
		_, comment, _ := strings.Cut(line, "# ")
		comments = append(comments, strings.TrimSpace(comment))
	}
	return append(all, document{example, []block{{1, "yaml", 0, text}}, strings.Join(comments, "\n")})
}

// statement is one command of a block.
type statement struct {
	line int // in the document
	text string
}

// statements takes a block apart into its commands, as its shell does. A comment or a
// here-document belongs to the command before it.
func (d document) statements(t *testing.T, b block) []statement {
	t.Helper()
	language := syntax.LangBash
	if b.kind == "sh container" {
		language = syntax.LangPOSIX
	}
	file, err := syntax.NewParser(syntax.Variant(language)).Parse(strings.NewReader(b.text), d.name)
	require.NoError(t, err, "the block of line %d", b.line)
	var all []statement
	for i, s := range file.Stmts {
		end := len(b.text)
		if i+1 < len(file.Stmts) {
			end = int(file.Stmts[i+1].Pos().Offset())
		}
		all = append(all, statement{b.line + int(s.Pos().Line()), strings.TrimSpace(b.text[s.Pos().Offset():end])})
	}
	require.NotEmpty(t, all, "%s:%d: a block without commands", d.name, b.line)
	return all
}

// TestDocuments types every command of the documents, in their order, each document
// on a machine and in a container of its own: see page.
func TestDocuments(t *testing.T) {
	t.Parallel()
	all := documents(t)
	typed := map[string]bool{}
	for _, d := range all {
		for _, b := range d.blocks {
			if strings.HasPrefix(b.kind, "sh") {
				for _, s := range d.statements(t, b) {
					if a := apartFrom(s.text); a != nil {
						typed[a.command] = true
					}
				}
			}
		}
		for _, span := range d.spans() {
			if a := apartFrom(span.text); a != nil {
				typed[a.command] = true
			}
		}
	}
	for _, a := range apart {
		assert.True(t, typed[a.command], "no document says %q any more: it needs no exception", a.command)
	}
	for _, d := range all {
		if filepath.Dir(d.name) == "docs/checks" && filepath.Base(d.name) != "README.md" {
			for _, b := range d.blocks {
				assert.NotContains(t, b.kind, "sh", "%s: the examples of rules are held by TestPages, commands by nobody", d.name)
			}
			continue
		}
		if !slices.ContainsFunc(d.blocks, func(b block) bool { return b.kind == "yaml" || strings.HasPrefix(b.kind, "sh") }) {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			p := newPage(t, d)
			for _, b := range d.blocks {
				switch b.kind {
				case "sh", "sh container":
					p.typed(b)
				case "yaml":
					p.deploy(b)
				}
			}
			if variable := quickstarts[d.name]; variable != "" {
				p.checkQuickstart(variable)
			}
		})
	}
}
