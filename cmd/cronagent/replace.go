package main

import (
	"errors"
	"os"
	"path/filepath"
)

// replaceFile puts a text in the place of a file, at once: whoever reads it sees the old
// one or the new one, and so it stays if there is no room. prepare, unless it is nil, is
// given the new file when it has been written; without it the file is ours alone.
func replaceFile(path string, text []byte, prepare func(*os.File) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".cronagent-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err = file.Write(text); err == nil && prepare != nil {
		err = prepare(file)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
