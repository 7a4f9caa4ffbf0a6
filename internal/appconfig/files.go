package appconfig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gopkg.in/yaml.v3"
)

// Names of files and directories that the platform gives a meaning.
const (
	appFile          = ".platform.app.yaml"
	platformDir      = ".platform"
	applicationsFile = "applications.yaml"
	upsunDir         = ".upsun"
)

// What is read is bounded, so that no file costs more than about a second and a
// few hundred megabytes: the YAML parser needs up to 160 bytes and a microsecond
// for each element. Ten thousand crons have about 50,000 elements in 1 MiB.
const (
	maxFile     = 4 << 20
	maxIncluded = 1 << 20
	// maxBytes and maxElements bound one configuration with all that it includes.
	maxBytes    = 8 << 20
	maxElements = 300_000
	maxIncludes = 32
)

// place is a directory that holds a configuration, inside a repository.
type place struct {
	// root is the repository's top; nothing outside of it is ever included.
	root string
	// base is the directory of the configuration, relative to root.
	base string
	// typed is base as a person typed it; empty if they are shown paths relative
	// to the working directory.
	typed string
	// cwd is the working directory.
	cwd string
}

// newPlace finds the repository around dir: the directory above it with a Git
// repository, else the one with the platform's own directories (a container has
// no Git repository), else dir itself.
func newPlace(dir, typed string) *place {
	p := &place{root: dir, base: ".", typed: typed}
	if !filepath.IsAbs(typed) {
		if wd, err := os.Getwd(); err == nil {
			p.typed = ""
			// The working directory's name may lead through links, behind which .. is
			// somewhere else.
			p.cwd, _ = filepath.EvalSymlinks(wd)
		}
	}
	for _, marks := range [][]string{{".git"}, {platformDir, upsunDir}} {
		for d, found := dir, false; !found; d = filepath.Dir(d) {
			for _, mark := range marks {
				found = found || exists(filepath.Join(d, mark))
			}
			if found {
				p.root = d
				p.base, _ = filepath.Rel(d, dir)
				return p
			}
			if d == filepath.Dir(d) {
				break
			}
		}
	}
	return p
}

// show turns a path relative to the root into one that a person would type.
func (p *place) show(path string) string {
	if p.cwd != "" {
		if rel, err := filepath.Rel(p.cwd, filepath.Join(p.root, path)); err == nil {
			return rel
		}
	}
	rel, err := filepath.Rel(p.base, path)
	if err != nil {
		return path
	}
	return filepath.Join(p.typed, rel)
}

func (p *place) open() (*tree, error) {
	root, err := os.OpenRoot(p.root)
	if err != nil {
		return nil, err
	}
	return &tree{place: p, root: root, bytes: maxBytes, elements: maxElements,
		texts: map[string]string{}, nodes: map[string]*yaml.Node{}}, nil
}

// tree reads the files of one repository, each once, within bounds.
type tree struct {
	*place
	root *os.Root
	// bytes and elements are what may still be read.
	bytes, elements int
	texts           map[string]string
	nodes           map[string]*yaml.Node
}

func (t *tree) close() { _ = t.root.Close() }

// text reads a file that is to be included.
func (t *tree) text(path string) (string, error) {
	if text, ok := t.texts[path]; ok {
		return text, nil
	}
	data, err := readRegular(t.root.OpenFile, path, maxIncluded)
	if err != nil {
		return "", err
	}
	if t.bytes -= len(data); t.bytes < 0 {
		return "", fmt.Errorf("the files included here are larger than %d MiB together", maxBytes>>20)
	}
	t.texts[path] = string(data)
	return t.texts[path], nil
}

// parse parses a file and returns its root node: nil if it cannot be parsed,
// and then errs has grown.
func (t *tree) parse(data []byte, name string, errs *Errors) *yaml.Node {
	if t.elements -= elements(data); t.elements < 0 {
		*errs = append(*errs, &Error{Position: Position{File: name},
			Message: fmt.Sprintf("more than %d lines and list items", maxElements),
			Hint:    "long scripts belong in files of their own"})
		return nil
	}
	node, problems := parseYAML(data, name)
	*errs = append(*errs, problems...)
	return node
}

// readRegular reads a file through open. It must be a regular one: a named pipe
// would be waited for for ever.
func readRegular(open func(string, int, fs.FileMode) (*os.File, error), path string, limit int) ([]byte, error) {
	f, err := open(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("it is a directory, not a file")
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > limit {
		return nil, fmt.Errorf("it is larger than %d MiB", limit>>20)
	}
	return data, nil
}

// reason is what the system said, without the path, which the message names
// in the person's own words.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		if errors.Is(err, fs.ErrNotExist) {
			return "there is no such file"
		}
		return "cannot be read: " + path.Err.Error()
	}
	return err.Error()
}

// absent tells "it is not there" from "it cannot be looked at".
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// escapeGlob makes a directory's name match itself alone.
func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
