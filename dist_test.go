package install_test

import (
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDist(t *testing.T) {
	t.Parallel()
	module := func(t *testing.T) string {
		t.Helper()
		root, err := fakeModule()
		require.NoError(t, err)
		return root
	}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no version":            {nil, "no version given"},
		"two numbers":           {[]string{"1.2"}, `"1.2" is not a version`},
		"leading zero":          {[]string{"1.02.3"}, "is not a version"},
		"a path":                {[]string{"../1.2.3"}, "is not a version"},
		"two lines":             {[]string{"1.2.3\n1.2.3"}, "is not a version"},
		"two versions":          {[]string{"1.2.3", "1.2.4"}, "more than one version"},
		"plain http":            {[]string{"1.2.3", "--base-url", "http://downloads.test"}, "is not an address"},
		"a quote in the URL":    {[]string{"1.2.3", "--base-url", "https://downloads.test/'x"}, "is not an address"},
		"an option and no more": {[]string{"1.2.3", "--out"}, "--out needs a value"},
		"unknown option":        {[]string{"1.2.3", "--sign"}, `unknown option "--sign"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := module(t)
			out, err := runDist(root, c.args...)
			require.Error(t, err)
			assert.Contains(t, out, "cronagent: error: dist.sh: ")
			assert.Contains(t, out, c.says)
			assert.NoDirExists(t, filepath.Join(root, "dist"))
		})
	}
	t.Run("without an address it says so, and install.sh too", func(t *testing.T) {
		t.Parallel()
		root := module(t)
		out, err := runDist(root, "v2.0.0-rc.1")
		require.NoError(t, err)
		assert.Contains(t, out, "NOT READY TO PUBLISH")
		assert.Contains(t, out, placeholder)
		b := newBox(t, dash, "")
		b.script = read(t, root, "dist", "install.sh")
		stderr, status := b.install()
		assert.Equal(t, 1, status)
		assert.Contains(t, stderr, placeholder+" is a placeholder")
	})
	t.Run("the address is in install.sh and in the examples", func(t *testing.T) {
		t.Parallel()
		root := module(t)
		_, err := runDist(root, "1.2.3", "--base-url", "https://downloads.test/cron-agent/", "--out", "public")
		require.NoError(t, err)
		for _, file := range []string{"install.sh", "examples/.platform.app.yaml"} {
			text := read(t, root, "public", file)
			assert.Contains(t, text, "https://downloads.test/cron-agent")
			assert.NotContains(t, text, placeholder)
			assert.NotContains(t, text, "cron-agent//")
		}
		assert.NoFileExists(t, filepath.Join(root, "public", "examples", "examples.go"))
		assert.NoDirExists(t, filepath.Join(root, "dist"))
	})
	t.Run("an earlier dist is replaced, a folder with anything else is not", func(t *testing.T) {
		t.Parallel()
		root := module(t)
		_, err := runDist(root, "1.2.3")
		require.NoError(t, err)
		_, err = runDist(root, "1.2.4")
		require.NoError(t, err)
		assert.NoFileExists(t, filepath.Join(root, "dist", binaryName))
		for _, alien := range []string{"photo.jpg", "man/photo.1", "man/man1/other.1"} {
			path := filepath.Join(root, "dist", alien)
			write(t, "", path)
			out, err := runDist(root, "1.2.5")
			require.Error(t, err)
			assert.Contains(t, out, `holds "`+alien+`"`)
			assert.FileExists(t, path)
			require.NoError(t, os.Remove(path))
		}
	})
}

// copyModule copies the sources, without what git or dist.sh made.
func copyModule(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || name == "dist"):
			return fs.SkipDir
		case d.Type().IsRegular() && name != ".git": // in a work tree it is a file
			write(t, read(t, path), to, name)
		}
		return nil
	}))
}

// TestRelease builds this module once more, in another folder, and installs the release.
func TestRelease(t *testing.T) {
	t.Parallel()
	url, dist := releaseURL(t), releaseDir()
	second := filepath.Join(t.TempDir(), "a", "second")
	copyModule(t, ".", second)
	_, err := runDist(second, version, "--base-url", url, "--out", "public")
	require.NoError(t, err)
	assert.Equal(t, read(t, dist, "SHA256SUMS"), read(t, second, "public", "SHA256SUMS"), "the same sources give the same bytes")

	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		path := filepath.Join(dist, "cronagent-"+version+"-linux-"+arch)
		binary, err := elf.Open(path)
		require.NoError(t, err)
		defer binary.Close()
		assert.Equal(t, machine, binary.Machine)
		assert.Nil(t, binary.Section(".symtab"), "stripped")
		assert.Nil(t, binary.Section(".debug_info"), "stripped")
		for _, p := range binary.Progs {
			assert.NotEqual(t, elf.PT_INTERP, p.Type, "static")
		}
		for file, limit := range map[string]int64{path: 14_000_000, path + ".gz": 5_500_000} {
			info, err := os.Stat(file)
			require.NoError(t, err)
			assert.LessOrEqual(t, info.Size(), limit, filepath.Base(file))
			t.Logf("%s: %d bytes", filepath.Base(file), info.Size())
		}
	}
	pages, err := filepath.Glob(filepath.Join(dist, "man", "man1", "*.1"))
	require.NoError(t, err)
	assert.Greater(t, len(pages), 20, "a manual page for each command")
	assert.Contains(t, read(t, dist, "man", "man1", "cronagent-fire.1"), `"cronagent 1.2.3"`)
	list, err := exec.Command(program(t, "tar"), "-tzf", filepath.Join(dist, "cronagent-"+version+"-man.tar.gz")).Output()
	require.NoError(t, err)
	assert.Contains(t, string(list), "man/man1/cronagent-fire.1\n")
	for _, page := range pages {
		assert.Equal(t, read(t, page), read(t, second, "public", "man", "man1", filepath.Base(page)))
	}
	check := exec.Command(program(t, "sha256sum"), "--strict", "-c", "SHA256SUMS")
	check.Dir = dist
	out, err := check.CombinedOutput()
	require.NoError(t, err, string(out))
	for _, name := range []string{binaryName, binaryName + ".gz", "cronagent-" + version + "-man.tar.gz", "install.sh"} {
		assert.Contains(t, string(out), name+": OK")
	}

	b := newBox(t, dash, "")
	require.NoError(t, os.Symlink(program(t, "dash"), filepath.Join(b.bin, "sh")))
	hook := "set -e\ncurl -fsS " + url + "/install.sh | sh\n.platformsh/bin/cronagent version"
	stdout, stderr, status := run(t, b.command("", "-c", hook))
	require.Zero(t, status, stderr)
	assert.Contains(t, stdout, version)
	assert.Contains(t, stderr, "installed cronagent "+version)
	assert.Equal(t, sum(read(t, dist, binaryName)), sum(read(t, b.path("cronagent"))))
}
