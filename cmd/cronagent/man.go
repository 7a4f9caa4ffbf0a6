//go:build man

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cronagent/cronagent/internal/operation"
)

// With the tag man this is another program: it writes the manual pages into the
// folder that it is given, from what --help says. dist.sh runs it, so the released
// program does not carry it. The same sources give the same bytes: no page has a date.
func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run -tags man ./cmd/cronagent FOLDER")
		os.Exit(exitUsage)
	}
	if err := writeManual(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "cronagent: error:", err)
		os.Exit(exitFailed)
	}
}

// variablesHelp and filesHelp are what docs/configuration.md says of variables and
// files, but for names that only the vendors' own tools have.
var variablesHelp = [][2]string{
	{"PLATFORMSH_CLI_TOKEN, UPSUN_CLI_TOKEN, OVHCLOUD_WEBPAAS_CLI_TOKEN", "The API token."},
	{"CRONAGENT_VENDOR", "platformsh, upsun or webpaas, if it is detected wrongly."},
	{"CRONAGENT_PRODUCTION_BRANCH", "For old containers without PLATFORM_ENVIRONMENT_TYPE: the branch that is production."},
	{"CRONAGENT_STATE_DIR", "The state directory, absolute; without it the mount .cronagent, else cronagent in TMPDIR or /tmp, which a deployment empties."},
	{"CRONAGENT_LEDGER", "The relationship to the database that the ledger is in, auto for the first one, or file; without it variables.cronagent.ledger, else the file."},
	{"CRONAGENT_LEDGER_OUTPUT", "1 keeps the end of what commands print in that database; without it variables.cronagent.ledger_output, else not."},
	{"CRONAGENT_API_URL, CRONAGENT_AUTH_URL", "Other servers: https, or http to loopback."},
	{"CRONAGENT_DEBUG", "1 logs every request to the platform on standard error: method, address, status, duration; no headers, no bodies."},
	{"PLATFORM_SMTP_HOST", "The mail server, set by the platform; none, if it is empty."},
	{"MAILTO, MAILFROM, MAILHOST", "For exec as for croncape: who is told, the sender, the name of the place. MAILFROM is the sender of the agent's mails too."},
	{"SSL_CERT_FILE, SSL_CERT_DIR", "Certificates to trust, where the container has none."},
	{"NO_COLOR, TERM, COLUMNS", "No colours; nothing that only a terminal can (TERM=dumb); how wide output is without a terminal."},
	{"LC_ALL, LC_CTYPE, LANG", "Whether characters beyond ASCII are printed."},
	{"TMPDIR", "The folder for temporary files, absolute; without it /tmp."},
	{"PLATFORM_PROJECT, PLATFORM_BRANCH, PLATFORM_ENVIRONMENT_TYPE and other variables of the platform", "Where this is; set by the platform in its containers. cronagent env says what was made of them."},
}

var filesHelp = [][2]string{
	{".platform.app.yaml, .platform/applications.yaml, .upsun/config.yaml", "The app's configuration, searched for from the app's or the working directory upwards. In a container the platform's variables count."},
	{"ledger.jsonl", "In the state directory: a line for each claim and each outcome. Other programs may read it at any time."},
	{"output/ID.log", "Beside it: what a run printed, the first 64 KiB."},
}

// manual is one page that is being written.
type manual struct{ strings.Builder }

func writeManual(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	cobra.EnableCommandSorting = false
	root := newRoot(proc{args: []string{"help"}})
	root.InitDefaultHelpCmd()
	var own, platform []*cobra.Command
	for _, cmd := range root.Commands() {
		if cmd.GroupID == platformGroup {
			platform = append(platform, cmd)
		} else {
			own = append(own, cmd)
		}
	}
	pages := map[string]string{
		"cronagent":          rootPage(root, own, platform),
		"cronagent-platform": platformPage(own, platform),
	}
	for _, cmd := range own {
		pages[pageName(cmd)] = commandPage(cmd, own)
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(folder, name+".1"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func pageName(cmd *cobra.Command) string { return "cronagent-" + cmd.Name() }

func rootPage(root *cobra.Command, own, platform []*cobra.Command) string {
	m := newManual("cronagent", root.Short)
	m.section("SYNOPSIS")
	m.line(`\fBcronagent\fR [\fIcommand\fR [\fIargument ...\fR]]`)
	exits := m.description(root.Long)
	m.section("COMMANDS")
	for _, group := range root.Groups() {
		if group.ID == platformGroup {
			continue
		}
		m.subsection(strings.TrimSuffix(group.Title, ":"))
		for _, cmd := range own {
			if cmd.GroupID == group.ID {
				m.item(`\fB`+roff(cmd.Name())+`\fR`, cmd.Short+"; see "+pageName(cmd)+"(1)")
			}
		}
	}
	m.subsection("Platform CLI")
	for _, cmd := range platform {
		m.item(`\fB`+roff(cmd.Name())+`\fR`, cmd.Short)
	}
	m.line(".PP")
	m.text("All of them: cronagent-platform(1).")
	m.section("OPTIONS")
	root.InitDefaultHelpFlag()
	root.InitDefaultVersionFlag()
	m.flags(root.Flags())
	m.examples(root.Example)
	m.section("EXIT STATUS")
	m.paragraphs(exits)
	m.section("ENVIRONMENT")
	for _, v := range variablesHelp {
		m.item(`\fB`+roff(v[0])+`\fR`, v[1])
	}
	m.section("FILES")
	for _, f := range filesHelp {
		m.item(`\fI`+roff(f[0])+`\fR`, f[1])
	}
	m.also("cronagent", own)
	return m.String()
}

func commandPage(cmd *cobra.Command, own []*cobra.Command) string {
	cmd.InitDefaultHelpFlag()
	m := newManual(pageName(cmd), cmd.Short)
	m.section("SYNOPSIS")
	m.line(synopsis(cmd.UseLine()))
	exits := m.description(cmd.Long)
	m.section("OPTIONS")
	m.flags(cmd.LocalFlags())
	if cmd.HasSubCommands() { // the operations of fire
		m.section("OPERATIONS")
		for _, child := range cmd.Commands() {
			o, _ := operation.Lookup(child.Name())
			m.subsection(child.UseLine())
			m.text(sentence(o.Summary))
			m.aliases(o)
			m.flags(child.LocalNonPersistentFlags())
			m.line(".PP")
			m.block(child.Example)
		}
	}
	m.examples(cmd.Example)
	m.section("EXIT STATUS")
	if exits == nil {
		exits = []string{"0 if it did what it is for; others, as those for wrong usage, are in cronagent(1)."}
	}
	m.paragraphs(exits)
	m.elsewhere()
	m.also(pageName(cmd), own)
	return m.String()
}

// platformPage has all commands of the platform CLI: a page whose name holds a colon
// is no file that everybody can have.
func platformPage(own, platform []*cobra.Command) string {
	m := newManual("cronagent-platform", "the platform CLI's commands, by their names and options")
	m.section("SYNOPSIS")
	m.line(synopsis("cronagent COMMAND [ARGUMENTS] [options]"))
	m.line(".br")
	m.line(synopsis("platform|upsun|webpaas COMMAND [ARGUMENTS] [options]"))
	m.description(`Called by the name of one of these commands, or as platform, upsun or webpaas,
cronagent does what the platform's command-line tool does, in that tool's words. There
is no gate: it acts on every type of environment. It waits only with --wait. What
deletes, restores or cancels needs --yes where nobody can be asked, and takes no
abbreviated name.

Everything else goes to the vendor's tool, if there is one on PATH.`)
	m.section("OPTIONS")
	m.text("Every command takes these.")
	everywhere := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&operation.Operation{}).AllFlags(everywhere)
	m.flags(everywhere)
	m.section("COMMANDS")
	for _, cmd := range platform {
		o, _ := operation.Lookup(cmd.Name())
		m.subsection(strings.TrimPrefix(cliUsage(o), "usage: "))
		m.text(sentence(o.Summary))
		m.aliases(o)
		special := pflag.NewFlagSet("", pflag.ContinueOnError)
		special.SortFlags = false
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if everywhere.Lookup(f.Name) == nil {
				special.AddFlag(f)
			}
		})
		m.flags(special)
	}
	m.section("EXAMPLES")
	for _, cmd := range platform {
		m.block(cmd.Example)
	}
	m.section("EXIT STATUS")
	m.paragraphs([]string{exitCodesHelp})
	m.elsewhere()
	m.also("cronagent-platform", own)
	return m.String()
}

func newManual(name, about string) *manual {
	m := &manual{}
	m.line(fmt.Sprintf(`.TH "%s" "1" "" "cronagent %s" "cronagent"`, strings.ToUpper(roff(name)), roff(versionText())))
	m.line(".nh") // names of commands and variables are not to be divided
	m.line(".ad l")
	m.section("NAME")
	m.line(roff(name) + ` \- ` + roff(about))
	return m
}

func (m *manual) line(text string)         { m.WriteString(text + "\n") }
func (m *manual) section(title string)     { m.line(".SH " + title) }
func (m *manual) subsection(title string)  { m.line(`.SS "` + roff(title) + `"`) }
func (m *manual) item(term, text string)   { m.line(".TP\n" + term); m.text(text) }
func (m *manual) text(text string)         { m.line(roff(strings.Join(strings.Fields(text), " "))) }
func (m *manual) examples(examples string) { m.section("EXAMPLES"); m.block(examples) }

func (m *manual) aliases(o *operation.Operation) {
	if len(o.Aliases) > 0 {
		m.line(".PP")
		m.text("Also: " + strings.Join(o.Aliases, ", ") + ".")
	}
}

// block is lines that stay as they are.
func (m *manual) block(text string) {
	m.line(".EX")
	for line := range strings.Lines(text) {
		m.line(roff(strings.TrimRight(line, "\n")))
	}
	m.line(".EE")
}

// description writes what the help says, and returns the paragraphs on exit codes.
func (m *manual) description(long string) (exits []string) {
	var rest []string
	for _, paragraph := range strings.Split(long, "\n\n") {
		if strings.HasPrefix(paragraph, "Exit codes:") || strings.HasPrefix(paragraph, "The exit code is") {
			exits = append(exits, paragraph)
		} else {
			rest = append(rest, paragraph)
		}
	}
	m.section("DESCRIPTION")
	m.paragraphs(rest)
	return exits
}

// paragraphs writes text that is filled, and blocks of what is indented in it.
func (m *manual) paragraphs(all []string) {
	for i, paragraph := range all {
		if i > 0 {
			m.line(".PP")
		}
		var plain, block []string
		for _, line := range strings.Split(paragraph, "\n") {
			if strings.HasPrefix(line, "  ") {
				block = append(block, line)
			} else {
				plain = append(plain, line)
			}
		}
		m.text(strings.Join(plain, " "))
		if block != nil {
			m.line(".PP")
			m.block(strings.Join(block, "\n"))
		}
	}
}

func (m *manual) flags(fs *pflag.FlagSet) {
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		word, about := pflag.UnquoteUsage(f)
		term := `\fB\-\-` + roff(f.Name) + `\fR`
		if f.Shorthand != "" {
			term = `\fB\-` + roff(f.Shorthand) + `\fR, ` + term
		}
		if word != "" {
			term += ` \fI` + roff(word) + `\fR`
		}
		if !slices.Contains([]string{"", "false", "0", "0s", "[]"}, f.DefValue) {
			about += " (default " + f.DefValue + ")"
		}
		m.item(term, about)
	})
}

// elsewhere is for what is the same for all commands.
func (m *manual) elsewhere() {
	m.section("ENVIRONMENT")
	m.text("The variables that all commands read are in cronagent(1).")
	m.section("FILES")
	m.text("The app's configuration and the ledger are described in cronagent(1).")
}

func (m *manual) also(page string, own []*cobra.Command) {
	names := []string{"cronagent", "cronagent-platform"}
	for _, cmd := range own {
		names = append(names, pageName(cmd))
	}
	slices.Sort(names)
	m.section("SEE ALSO")
	var all []string
	for _, name := range names {
		if name != page {
			all = append(all, `.BR \%`+roff(name)+` (1)`)
		}
	}
	m.line(strings.Join(all, " ,\n"))
}

// synopsis is a line of usage: what is typed as it is in bold, what is replaced in
// italics.
func synopsis(use string) string {
	words := strings.Fields(use)
	for i, word := range words {
		if word == "cronagent" || word == strings.ToLower(word) && !strings.ContainsAny(word, "[]") {
			words[i] = `\fB` + roff(word) + `\fR`
		} else {
			words[i] = `\fI` + roff(word) + `\fR`
		}
	}
	return strings.Join(words, " ")
}

// roff makes text safe for the language of manual pages.
func roff(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '"':
			b.WriteString(`\(dq`)
		case r == '\'':
			b.WriteString(`\(aq`)
		case r == '`':
			b.WriteString(`\(ga`)
		case r == '^':
			b.WriteString(`\(ha`)
		case r == '~':
			b.WriteString(`\(ti`)
		case r == '.' && i == 0:
			b.WriteString(`\&.`)
		case r > 0x7e:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
