package runner

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// notFoundError says that there is no program of a name.
type notFoundError struct{ name, where string }

func (e *notFoundError) Error() string { return e.name + ": not found" + e.where }

// Unwrap lets callers ask for os.ErrNotExist.
func (e *notFoundError) Unwrap() error { return os.ErrNotExist }

// start starts the command with its output going to out.
func (c Command) start(out *output) (*exec.Cmd, error) {
	cmd, err := c.prepare()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out.standard.write, out.errors().write
	if c.Lock != nil {
		cmd.ExtraFiles = []*os.File{c.Lock}
	}
	err = cmd.Start()
	if errors.Is(err, syscall.ENOEXEC) && len(c.Args) > 0 && c.Args[0] != "sh" {
		// A script without a first line that names its shell: as execvp does, and so
		// flock, nice and all the others that take a command.
		c.Args = append([]string{"sh", cmd.Path}, c.Args[1:]...)
		return c.start(out)
	}
	if errors.Is(err, os.ErrNotExist) {
		// The kernel does not say what is missing, and Go names the program for it.
		if _, missing := os.Stat(c.Dir); c.Dir != "" && missing != nil {
			return nil, missing
		}
		return nil, &notFoundError{cmd.Path, ", or the interpreter that its first line names"}
	}
	if err != nil {
		return nil, err
	}
	return cmd, nil
}

// prepare makes what can be started: standard input at its end, and a process
// group of its own.
func (c Command) prepare() (*exec.Cmd, error) {
	args, where := c.Args, searchPath(c.Env)
	if len(args) == 0 {
		// The shell is ours to find, whatever PATH the command has.
		args, where = []string{"sh", "-c", c.Line}, where+":"+defaultPath
	}
	path, err := find(args[0], c.Dir, where)
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{
		Path: path,
		Args: args,
		Dir:  c.Dir,
		// A nil one would be ours, with the token.
		Env:         append([]string{}, c.Env...),
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}, nil
}

// defaultPath is where programs are looked for if the environment has no PATH.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

// searchPath is the PATH of an environment.
func searchPath(env []string) string {
	path := ""
	for _, variable := range env {
		if value, ok := strings.CutPrefix(variable, "PATH="); ok {
			path = value
		}
	}
	return cmp.Or(path, defaultPath)
}

// find finds a program as a shell does. It is ours because the standard library
// looks in our own PATH, and never in the working directory.
func find(name, dir, path string) (string, error) {
	if name == "" {
		return "", &notFoundError{`""`, ""}
	}
	if strings.Contains(name, "/") {
		return name, executable(name, dir)
	}
	var refused error
	for _, folder := range filepath.SplitList(path) {
		candidate := cmp.Or(folder, ".") + "/" + name
		err := executable(candidate, dir)
		if err == nil {
			return candidate, nil
		}
		if _, missing := errors.AsType[*notFoundError](err); !missing && refused == nil {
			refused = err
		}
	}
	if refused != nil {
		return "", refused
	}
	return "", &notFoundError{name, " in PATH"}
}

// executable tells why a file cannot be run, seen from a folder; nil if it can.
func executable(path, dir string) error {
	seen := path
	if !filepath.IsAbs(path) {
		seen = filepath.Join(dir, path)
	}
	info, err := os.Stat(seen)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		if _, missing := os.Stat(dir); dir != "" && missing != nil {
			return missing
		}
		return &notFoundError{path, ""}
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s: is a folder", path)
	case unix.Access(seen, unix.X_OK) != nil:
		return fmt.Errorf("%s: not executable: %w", path, os.ErrPermission)
	}
	return nil
}

// Lock takes the lock on a file, which it makes if need be, so that one command
// of a kind runs at a time. It returns nil without an error if another process
// has it. The lock is held until the returned file, and every copy that a child
// inherited, is closed.
func Lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file, nil
	}
	file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, &os.PathError{Op: "lock", Path: path, Err: err}
}

// Replace turns this process into the program at path, with args (the name it is
// called by first) and the given environment. It returns only if it cannot.
func Replace(path string, args, env []string) error { return syscall.Exec(path, args, env) }
