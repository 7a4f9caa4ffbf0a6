package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/operation"
)

// onAnyMachine are commands whose examples are for the reader's machine.
var onAnyMachine = []string{"completion", "sandbox"}

// TestCommandsPage: docs/commands.md has what the helps say. UPDATE_DOCS=1 writes it.
func TestCommandsPage(t *testing.T) {
	const begin, end = "<!-- commands -->\n", "<!-- end of commands -->\n"
	file := filepath.Join("..", "..", "docs", "commands.md")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok)

	root := newRoot(proc{lookup: func(string) (string, bool) { return "", false }})
	root.InitDefaultCompletionCmd()
	var table, sections strings.Builder
	table.WriteString("| command | does |\n| --- | --- |\n")
	for _, cmd := range own(root) {
		name := strings.TrimPrefix(cmd.CommandPath(), "cronagent ")
		table.WriteString("| [`" + name + "`](#" + strings.ReplaceAll(name, " ", "-") + ") | " + markdown(cmd.Short) + " |\n")
		sections.WriteString("\n" + section(cmd, name))
	}
	platform := "| command | does | fire |\n| --- | --- | --- |\n"
	for _, o := range operation.All() {
		platform += "| `" + o.Name + "` | " + markdown(o.Summary) + " | " + map[bool]string{true: "yes"}[o.Fires] + " |\n"
	}
	want := before + begin + table.String() + "\n## The platform's\n\n" +
		"Called as `platform`, `upsun` or `webpaas`, or with the name of one of these commands,\n" +
		"cronagent does what the platform's own tool does, in that tool's words; there it has no\n" +
		"gate of its own, and waits only with `--wait`. `fire` takes those that are marked.\n" +
		"Names, arguments, options and what is different: [cli-compatibility.md](cli-compatibility.md).\n\n" +
		platform + sections.String() + end + after
	if os.Getenv("UPDATE_DOCS") != "" {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	assert.Equal(t, want, string(text), "run the test with UPDATE_DOCS=1")
}

// own are our commands, by their names.
func own(root *cobra.Command) []*cobra.Command {
	platforms := map[string]bool{"help": true}
	for _, o := range operation.All() {
		platforms[o.Name] = true
	}
	var all []*cobra.Command
	for _, cmd := range root.Commands() {
		if !cmd.Hidden && !platforms[cmd.Name()] {
			all = append(all, cmd)
		}
	}
	slices.SortFunc(all, func(a, b *cobra.Command) int { return cmp.Compare(a.Name(), b.Name()) })
	return all
}

// section is what one command's help says, its examples as a block that is executed.
func section(cmd *cobra.Command, name string) string {
	text := "## " + name + "\n\n"
	for paragraph := range strings.SplitSeq(cmp.Or(cmd.Long, cmd.Short), "\n\n") {
		paragraph = strings.Trim(paragraph, "\n")
		switch {
		case paragraph == "":
		case paragraph == exitCodesHelp:
			text += "Its exit codes are [those of all commands](exit-codes.md).\n\n"
		case strings.Contains("\n"+paragraph, "\n ") || strings.Contains(paragraph, "\n\t"):
			text += "```text\n" + paragraph + "\n```\n\n"
		default:
			text += markdown(paragraph) + "\n\n"
		}
	}
	text += "```text\n" + cmd.UseLine() + "\n"
	if flags := cmd.NonInheritedFlags().FlagUsages(); flags != "" {
		text += "\n" + strings.TrimRight(flags, "\n") + "\n"
	}
	text += "```\n"
	if cmd.Example == "" {
		return text
	}
	where := "sh container"
	if slices.Contains(onAnyMachine, name) {
		where = "sh"
	}
	text += "\n```" + where + "\n"
	for example := range strings.Lines(cmd.Example) {
		if example = strings.TrimSpace(example); example != "" {
			text += example + "\n"
		}
	}
	return text + "```\n"
}

var marks = regexp.MustCompile("[*<>|`]")

// markdown keeps text from being taken for marks.
func markdown(text string) string { return marks.ReplaceAllString(text, `\$0`) }

var codeRow = regexp.MustCompile(`(?m)^\| (\d) \| ([^|]*) \| [^|]* \| [^|]* \| [^|]* \|$`)

// TestExitCodesPage: docs/exit-codes.md has the codes of errors.go with the words of
// the helps, those of exec, and the order in which a tick chooses.
func TestExitCodesPage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "exit-codes.md"))
	require.NoError(t, err)
	page := strings.Join(strings.Fields(string(text)), " ")
	pieces := strings.Split(strings.TrimPrefix(strings.Join(strings.Fields(exitCodesHelp), " "), "Exit codes: "), "; ")
	rows := codeRow.FindAllStringSubmatch(string(text), -1)
	codes := []int{exitDone, exitFailed, exitUsage, exitToken, exitForbidden, exitUnavailable, exitUncertain}
	require.Len(t, rows, len(codes))
	require.Len(t, pieces, len(codes))
	for i, row := range rows {
		assert.Equal(t, strconv.Itoa(codes[i]), row[1])
		assert.True(t, strings.HasPrefix(pieces[i], row[1]+" "+row[2]), "%q is not %q", pieces[i], row[2])
	}
	for _, code := range []int{execTimedOut, execCancelled} {
		assert.Contains(t, string(text), fmt.Sprintf("\n| %d | ", code))
	}
	var order []string
	for left := codes[1:]; len(left) > 0; {
		next := worst(left)
		order = append(order, strconv.Itoa(next))
		left = slices.DeleteFunc(slices.Clone(left), func(code int) bool { return code == next })
	}
	assert.Contains(t, page, "in this order: "+strings.Join(order, ", ")+".")
}
