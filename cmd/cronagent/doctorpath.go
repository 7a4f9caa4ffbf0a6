package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/shell"
)

// pathNote is the PATH that an agent had, for doctor: it is asked in a shell, whose PATH
// may be another one. It lies in the state directory, since it is this container's,
// wherever the ledger is.
type pathNote struct {
	Path string `json:"path"`
	// By is tick or run.
	By string `json:"by"`
	// At is since when it is so.
	At time.Time `json:"at"`
}

// pathNoteFile is its name, and pathNoteLimit how large it may be, in bytes.
const (
	pathNoteFile  = "path.json"
	pathNoteLimit = 64 << 10
)

// notePath writes down the PATH of an agent, if it is another one than before. Who calls
// it at a terminal or over SSH tells nothing of the crons. Failing to is only worth a
// line for who looks closely: nothing depends on it.
func (p proc) notePath(env envdetect.Environment, by string, log *slog.Logger) {
	if env.Phase != envdetect.Runtime || env.StateProblem != "" || p.byHand() {
		return
	}
	note := pathNote{p.getenv("PATH"), by, time.Now().UTC().Truncate(time.Second)}
	if was, ok := readPathNote(env.StateDir); ok && was.Path == note.Path && was.By == by {
		return
	}
	if err := writePathNote(env.StateDir, note); err != nil {
		log.Debug("PATH was not written down", "err", err)
	}
}

func writePathNote(dir string, note pathNote) error {
	text, err := json.Marshal(note)
	if err != nil || len(text) > pathNoteLimit {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, pathNoteFile), append(text, '\n'), nil)
}

// readPathNote reads what notePath wrote; false if there is none that can be read.
func readPathNote(dir string) (note pathNote, ok bool) {
	file, err := os.OpenFile(filepath.Join(dir, pathNoteFile), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return note, false
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, pathNoteLimit))
	return note, err == nil && json.Unmarshal(text, &note) == nil && note.Path != ""
}

// path looks for this program as this shell would, and for what the crons call as they
// would.
func (d *doctor) path(context.Context) []*finding {
	if d.own == nil {
		return nil
	}
	var all []*finding
	addToPath := fmt.Sprintf("append %s to PATH in .environment, or call it by its path", filepath.Dir(d.self))
	path := d.p.getenv("PATH")
	switch found := otherCommand("cronagent", path, "/"); {
	case found == "":
		all = append(all, warning(addToPath, "cronagent", "it is not on the PATH of this shell, so nobody can call it by its name"))
	case d.isOurs(found):
		all = append(all, well("cronagent", "it is %s on the PATH of this shell", found))
	default:
		all = append(all, warning("remove the one that is not meant", "cronagent", "%s is first on PATH, and it is another one than this, %s", found, d.self))
	}
	for _, name := range ourNames[1:] {
		found := otherCommand(name, path, "/")
		if found == "" {
			continue
		}
		other := otherCommand(name, path, d.self)
		switch {
		case d.isOurs(found) && other != "":
			all = append(all, well(name, "it is cronagent; the platform's own tool, %s, gets what that does not cover", other))
		case !d.isOurs(found):
			all = append(all, well(name, "it is another program, %s, and not cronagent", found))
		}
	}
	if d.env.Phase != envdetect.Runtime || d.app == nil {
		return all
	}
	return append(all, d.called(path, addToPath)...)
}

// called looks for what the crons call: on the PATH that the agent had when it was last
// called by nobody at a terminal, else on that of this shell.
func (d *doctor) called(path, addToPath string) []*finding {
	var all []*finding
	note, noted := readPathNote(d.env.StateDir)
	other := noted && note.Path != path
	switch {
	case other:
		all = append(all, well(note.By, "%s has had another PATH since %s than this shell: %s", note.By, clock(note.At.In(d.app.Zone)), note.Path))
	case noted:
		all = append(all, well(note.By, "%s has had the PATH of this shell since %s", note.By, clock(note.At.In(d.app.Zone))))
	}
	if !noted {
		note.Path = path
	}
	acting, elsewhere := d.acting(), d.elsewhere()
	for i := range d.app.Crons {
		c := &d.app.Crons[i]
		switch {
		case c.Scheduler == appconfig.Platform && d.env.Worker != "": // they run in the app's container
			continue
		case c.Scheduler == appconfig.Agent && (elsewhere || !slices.Contains(acting, c) || c.Env["PATH"] != ""):
			continue
		}
		done := map[string]bool{}
		for _, words := range callsOf(d.p, c.Start) {
			program := words[0]
			if done[program] {
				continue
			}
			done[program] = true
			ours := slices.Contains(ourNames, filepath.Base(program))
			if strings.Contains(program, "/") {
				if ours && !d.isProgram(program) {
					hint := reinstall
					if there := filepath.Join(filepath.Dir(d.self), filepath.Base(program)); d.isProgram(there) {
						hint = "call " + there + ", or " + hint
					}
					all = append(all, trouble(hint, c.Name, "this cron calls %s, and there is no such program", program))
				}
				continue
			}
			here, there := otherCommand(program, path, "/"), otherCommand(program, note.Path, "/")
			switch {
			case there != "" && here == "" && other:
				all = append(all, well(c.Name, "this cron calls %s, which is %s to %s, and which this shell does not find", program, there, note.By))
			case there != "":
			case here != "":
				f := warning(fmt.Sprintf("append %s to PATH in .environment, or call %s", filepath.Dir(here), here), c.Name,
					"this cron calls %s, which is %s in this shell, and is not on the PATH of %s", program, here, note.By)
				if ours { // others may be looked for before they are called
					f.Status = isProblem
				}
				all = append(all, f)
			case ours:
				all = append(all, trouble(addToPath+"; if it is not there, "+reinstall, c.Name, "this cron calls %s, and there is no such program", program))
			}
		}
	}
	return all
}

// isProgram tells whether a path, in the app's folder if it is relative, is a program.
func (d *doctor) isProgram(path string) bool {
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.env.AppDir, path)
	}
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// callsOf are the commands that a script calls here, or may call, as far as its text
// tells.
func callsOf(p proc, command string) [][]string {
	script, err := shell.Parse(command)
	if err != nil {
		return nil
	}
	var all [][]string
	for _, v := range script.Eval(p.lookup) {
		if v.Runs == shell.No || len(v.Call.Words) == 0 || !v.Call.Words[0].Literal {
			continue
		}
		var words []string
		for _, w := range v.Call.Words {
			words = append(words, w.Text)
		}
		all = append(all, words)
	}
	return all
}
