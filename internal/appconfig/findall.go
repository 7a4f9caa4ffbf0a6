package appconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// maxDirectories bounds the search for configurations.
const maxDirectories = 100_000

// FindAll looks for every configuration of a repository: from the directory above
// start that holds the Git repository, else from start itself, downwards; routes and
// services that have files of their own are among them. What the
// platform does not read is left out: .git, and what package managers and the
// platform's own tools put there. Sources that could be read are returned beside
// the error, an Errors, for those that could not. None at all is an error that
// matches fs.ErrNotExist.
func FindAll(start string) ([]*Source, error) {
	start, root, err := physical(start)
	if err != nil {
		return nil, err
	}
	for dir := root; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, ".git")) {
			root = dir
			break
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return findBelow(root, start)
}

// FindBelow is FindAll for one directory and what is below it.
func FindBelow(dir string) ([]*Source, error) {
	root, err := filepath.Abs(dir)
	if err == nil {
		root, err = filepath.EvalSymlinks(root)
	}
	if err != nil {
		return nil, Errors{{Position: Position{File: dir}, Message: reason(err), cause: err}}
	}
	return findBelow(root, dir)
}

func findBelow(root, start string) ([]*Source, error) {
	var sources []*Source
	var errs Errors
	apps := false
	add := func(dir string, names ...string) {
		typed := ""
		if filepath.IsAbs(start) {
			typed = dir
		}
		source, err := read(dir, typed, names, "")
		if problems := (Errors)(nil); errors.As(err, &problems) {
			errs = append(errs, problems...)
		} else {
			sources = append(sources, source)
			apps = apps || source.beside == ""
		}
	}
	directories := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // what cannot be looked into, the platform's build cannot either
		}
		if directories++; directories > maxDirectories {
			return fmt.Errorf("more than %d directories", maxDirectories)
		}
		parent := filepath.Base(filepath.Dir(path))
		switch name := d.Name(); {
		case path == root:
		case slices.Contains([]string{".git", "node_modules", "vendor"}, name), parent == platformDir && name == "local":
			return filepath.SkipDir
		}
		for _, name := range append([]string{appFile, filepath.Join(platformDir, applicationsFile)}, slices.Sorted(maps.Keys(besideApps))...) {
			if info, err := os.Stat(filepath.Join(path, name)); err == nil && info.Mode().IsRegular() {
				add(path, name)
			}
		}
		names, _ := filepath.Glob(filepath.Join(escapeGlob(path), upsunDir, "*.yaml"))
		for i, name := range names {
			names[i] = filepath.Join(upsunDir, filepath.Base(name))
		}
		if slices.Sort(names); len(names) > 0 {
			add(path, names...)
		}
		return nil
	})
	if err != nil {
		errs = append(errs, &Error{Position: Position{File: start}, Message: "the search ended early: " + reason(err), Hint: "name the files", cause: err})
	}
	if !apps && len(errs) == 0 {
		errs = Errors{{
			Position: Position{File: start},
			Message:  fmt.Sprintf("no app configuration is in this repository: neither %s nor %s/%s nor %s/*.yaml", appFile, platformDir, applicationsFile, upsunDir),
			Hint:     "go to the repository, or name the file",
			cause:    fs.ErrNotExist,
		}}
	}
	return sources, errs.err()
}

// projectOf is the directory that what lies in dir is configured together with.
func projectOf(dir string) string {
	for d := dir; ; d = filepath.Dir(d) {
		for _, mark := range []string{platformDir, upsunDir, ".git"} {
			if exists(filepath.Join(d, mark)) {
				return d
			}
		}
		if d == filepath.Dir(d) {
			return dir
		}
	}
}
