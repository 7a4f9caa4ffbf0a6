package install_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLinks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		setup func(b *box)
		links map[string]string // name → target; "" for none of ours
		warns string
	}{
		"a file of somebody else stays": {
			func(b *box) { write(b.t, "the real CLI", b.path("platform")) },
			map[string]string{"upsun": "cronagent", "webpaas": "cronagent"}, "platform alone"},
		"a link to somewhere else stays, whole or dangling": {
			func(b *box) {
				require.NoError(b.t, os.MkdirAll(b.path(), 0o755))
				require.NoError(b.t, os.Symlink("/nonexistent/upsun", b.path("upsun")))
			},
			map[string]string{"platform": "cronagent", "upsun": "/nonexistent/upsun", "webpaas": "cronagent"}, "upsun alone"},
		"none with CRONAGENT_LINKS=no": {env("CRONAGENT_LINKS", "no"), nil, ""},
		"off the platform none for a command that is there": {
			func(b *box) {
				delete(b.env, "PLATFORM_PROJECT")
				b.env["CRONAGENT_INSTALL_DIR"] = b.path()
				b.stub("upsun", "")
			},
			map[string]string{"platform": "cronagent", "webpaas": "cronagent"}, "made no link"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, shell int) {
				url, _ := site(t, fakeDist(t), nil)
				b := newBox(t, shell, url)
				c.setup(b)
				before := contents(t, b.app)
				stderr := b.mustInstall()
				assert.Contains(t, stderr, c.warns)
				links := map[string]string{}
				for _, name := range []string{"platform", "upsun", "webpaas"} {
					if target, err := os.Readlink(b.path(name)); err == nil {
						links[name] = target
					}
				}
				if c.links == nil {
					c.links = map[string]string{}
				}
				assert.Equal(t, c.links, links)
				b.mustInstall("--uninstall")
				assert.Equal(t, before, contents(t, b.app))
			})
		})
	}
	t.Run("CRONAGENT_LINKS=no takes back those made before", func(t *testing.T) {
		t.Parallel()
		url, _ := site(t, fakeDist(t), nil)
		b := newBox(t, dash, url)
		b.mustInstall()
		b.env["CRONAGENT_LINKS"] = "no"
		b.mustInstall()
		assert.NoFileExists(t, b.path("platform"))
		assert.FileExists(t, b.path("cronagent"))
	})
}

func TestVendor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ platform, own, want string }{
		{"platformsh", "", "platformsh"}, {"platform", "", "platformsh"}, {"platform.sh", "", "platformsh"},
		{"upsun", "", "upsun"}, {"webpaas", "", "webpaas"}, {"ovh", "", "webpaas"}, {"ovhcloud", "", "webpaas"},
		{"", "", ""}, {"acme", "", ""}, {`";touch x;"`, "", ""},
		{"upsun", "webpaas", "webpaas"}, {"upsun", "acme", ""}, {"", `$(touch x)`, ""},
	} {
		t.Run(fmt.Sprintf("PLATFORM_VENDOR=%s and CRONAGENT_VENDOR=%s", c.platform, c.own), func(t *testing.T) {
			t.Parallel()
			url, _ := site(t, fakeDist(t), nil)
			b := newBox(t, dash, url)
			env("PLATFORM_VENDOR", c.platform, "CRONAGENT_VENDOR", c.own)(b)
			stderr := b.mustInstall()
			assert.Equal(t, c.want, b.sourced("CRONAGENT_VENDOR"))
			assert.Equal(t, c.want != "", strings.Contains(read(t, b.app, ".environment"), "CRONAGENT_VENDOR"))
			assert.Equal(t, c.own == "acme" || strings.Contains(c.own, "touch"), strings.Contains(stderr, "warning: ignored CRONAGENT_VENDOR"))
		})
	}
}

func TestEnvironmentLeftAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		setup func(b *box)
		says  string
	}{
		"a git work tree":          {func(b *box) { require.NoError(b.t, os.Mkdir(filepath.Join(b.app, ".git"), 0o755)) }, "is a git work tree"},
		"a linked git work tree":   {func(b *box) { write(b.t, "gitdir: x", b.app, ".git") }, "is a git work tree"},
		"DDEV":                     {env("IS_DDEV_PROJECT", "true"), "this is DDEV"},
		"run time":                 {env("PLATFORM_BRANCH", "main"), "PLATFORM_BRANCH is set"},
		"a target outside the app": {func(b *box) { b.env["CRONAGENT_INSTALL_DIR"] = b.t.TempDir() }, "will not be there at run time"},
		"a folder with a name that a shell would read": {func(b *box) {
			moved := filepath.Join(filepath.Dir(b.app), `a"$(touch x)`)
			require.NoError(b.t, os.Rename(b.app, moved))
			b.app, b.env["PLATFORM_APP_DIR"], b.env["HOME"] = moved, moved, moved
		}, "has characters other than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, shell int) {
				url, _ := site(t, fakeDist(t), nil)
				b := newBox(t, shell, url)
				c.setup(b)
				write(t, "export A=1", b.app, ".environment")
				before := tree(t, b.app)
				stderr := b.mustInstall()
				assert.Contains(t, stderr, "installed cronagent")
				assert.Contains(t, stderr, "warning: left .environment alone: ")
				assert.Contains(t, stderr, c.says)
				assert.Equal(t, 2, strings.Count(stderr, "\n"), stderr)
				if b.env["CRONAGENT_INSTALL_DIR"] == "" {
					assert.FileExists(t, b.path("cronagent"))
				}
				assert.Equal(t, "export A=1", read(t, b.app, ".environment"))
				b.mustInstall("--uninstall")
				assert.Equal(t, before, tree(t, b.app))
			})
		})
	}
}

func TestEnvironmentBlock(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell int) {
		url, _ := site(t, fakeDist(t), nil)
		begin, end := "# BEGIN cronagent", "# END cronagent"

		b := newBox(t, shell, url)
		b.mustInstall()
		b.env["PLATFORM_VENDOR"] = "ovh"
		b.mustInstall()
		assert.Equal(t, 1, strings.Count(read(t, b.app, ".environment"), begin), "another vendor: the block is replaced")
		assert.Equal(t, "webpaas", b.sourced("CRONAGENT_VENDOR"))
		write(t, read(t, b.app, ".environment")+"export B=2", b.app, ".environment")
		b.mustInstall("--uninstall")
		assert.Equal(t, "export B=2", read(t, b.app, ".environment"), "what others appended stays")

		b = newBox(t, shell, url)
		write(t, "export A=1", b.app, ".environment")
		b.mustInstall()
		write(t, read(t, b.app, ".environment")+"export B=2\n", b.app, ".environment")
		b.mustInstall("--uninstall")
		assert.Equal(t, "export A=1\nexport B=2\n", read(t, b.app, ".environment"), "no lines are glued together")

		b = newBox(t, shell, url)
		write(t, "export A=1\n", b.app, "config", "environment")
		require.NoError(t, os.Chmod(filepath.Join(b.app, "config", "environment"), 0o640))
		require.NoError(t, os.Symlink("config/environment", filepath.Join(b.app, ".environment")))
		before := contents(t, b.app)
		b.mustInstall()
		assert.Equal(t, "1", b.sourced("A"))
		assert.Contains(t, b.sourced("PATH"), b.path())
		b.mustInstall("--uninstall")
		assert.Equal(t, before, contents(t, b.app), "a link stays a link, a mode a mode")

		for _, broken := range []string{begin + "\nexport A=1\n", "export A=1\n" + end + "\n", end + "\nexport A=1\n" + begin + "\n"} {
			b = newBox(t, shell, url)
			write(t, broken, b.app, ".environment")
			stderr, status := b.install()
			assert.Equal(t, 1, status)
			assert.Contains(t, stderr, "do not come in pairs")
			assert.Equal(t, broken, read(t, b.app, ".environment"), "half a block: nothing is guessed")
		}

		b = newBox(t, shell, url)
		write(t, begin+"-like\n", b.app, ".environment")
		b.mustInstall()
		b.mustInstall("--uninstall")
		assert.Equal(t, begin+"-like\n", read(t, b.app, ".environment"), "only our own marks count")
	})
}

func TestOffThePlatform(t *testing.T) {
	t.Parallel()
	for name, setup := range map[string]func(b *box){
		"nothing set":                   func(b *box) { delete(b.env, "PLATFORM_PROJECT"); delete(b.env, "PLATFORM_APP_DIR") },
		"CI with only PLATFORM_PROJECT": func(b *box) { delete(b.env, "PLATFORM_APP_DIR") },
		"a .local that was there": func(b *box) {
			delete(b.env, "PLATFORM_PROJECT")
			require.NoError(b.t, os.MkdirAll(filepath.Join(b.app, ".local"), 0o755))
		},
		"an empty .local/bin that was there": func(b *box) {
			delete(b.env, "PLATFORM_PROJECT")
			require.NoError(b.t, os.MkdirAll(filepath.Join(b.app, ".local", "bin"), 0o755))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, shell int) {
				url, _ := site(t, fakeDist(t), nil)
				b := newBox(t, shell, url)
				setup(b)
				before := contents(t, b.app)
				stderr := b.mustInstall()
				assert.Contains(t, stderr, "in "+filepath.Join(b.app, ".local", "bin"))
				assert.Contains(t, stderr, "this is not a build of Platform.sh, Upsun or Web PaaS")
				assert.FileExists(t, filepath.Join(b.app, ".local", "bin", "cronagent"))
				assert.NoFileExists(t, filepath.Join(b.app, ".environment"))
				b.mustInstall("--uninstall")
				assert.Equal(t, before, contents(t, b.app))
			})
		})
	}
	t.Run("another program of that name", func(t *testing.T) {
		t.Parallel()
		eachShell(t, func(t *testing.T, shell int) {
			url, _ := site(t, fakeDist(t), nil)
			b := newBox(t, shell, url)
			delete(b.env, "PLATFORM_PROJECT")
			write(t, "#!/bin/sh\necho mine\n", b.app, ".local", "bin", "cronagent")
			before := contents(t, b.app)
			stderr, status := b.install()
			assert.Equal(t, 1, status)
			assert.Contains(t, stderr, "is another program of that name")
			assert.Equal(t, before, contents(t, b.app))
			assert.Contains(t, b.mustInstall("--uninstall"), "left "+filepath.Join(b.app, ".local", "bin", "cronagent")+" alone")
			assert.Equal(t, before, contents(t, b.app))
		})
	})
	t.Run("a folder of one's own", func(t *testing.T) {
		t.Parallel()
		url, _ := site(t, fakeDist(t), nil)
		b := newBox(t, dash, url)
		b.env["CRONAGENT_INSTALL_DIR"] = "tools/bin/"
		assert.Contains(t, b.mustInstall(), "the hook must be: tools/bin/cronagent version")
		assert.Equal(t, "/usr/bin:"+filepath.Join(b.app, "tools", "bin"), b.sourced("PATH"))
	})
}

// TestPrefixes runs what arrives of a download that breaks off, at any byte. A flat script would run half of its
// commands; one of definitions only would run "env" when cut off inside the name env_something.
func TestPrefixes(t *testing.T) {
	t.Parallel()
	script := read(t, fakeDist(t), "install.sh")
	require.True(t, strings.HasSuffix(script, "\nmain \"$@\"\n"))
	bin, app, log := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "log")
	for _, name := range strings.Fields("cat chmod cp curl env find grep gzip install ln locate ls make mkdir mktemp mv openssl perl " +
		"readlink rm rmdir sed sh sha256sum shasum sleep sum tail test touch tr uname w wget which who") {
		write(t, "#!/bin/sh\necho \"$PREFIX bytes ran $0 $*\" >>'"+log+"'\n", bin, name)
	}
	shell := func(shell, length int, stdin string, args ...string) {
		cmd := (&box{t: t, shell: shell, app: app, env: map[string]string{"PATH": bin, "HOME": app, "CI": "true",
			"PLATFORM_PROJECT": "p", "PLATFORM_APP_DIR": app, "PREFIX": fmt.Sprint(length)}}).command(stdin, args...)
		stdout, _, _ := run(t, cmd) // most end as a syntax error
		assert.Empty(t, stdout, "%s printed, given %d bytes", shells[shell].name, length)
	}

	// The longest that counts lacks two bytes: without the last line end alone the script is complete.
	longest := len(script) - 2
	t.Run("every one, read by dash", func(t *testing.T) {
		t.Parallel()
		// A process for each would take a minute. eval, too, runs each command before it reads the next.
		const each = `p=$1 n=$2; while [ "$n" -gt 0 ]; do PREFIX=${#p}; export PREFIX; (set --; eval "$p"); p=${p%?} n=$((n - 1)); done`
		const chunk = 2000
		for end := longest; end > 0; end -= chunk {
			t.Run(fmt.Sprint("up to ", end), func(t *testing.T) {
				t.Parallel()
				shell(dash, end, "", "-c", each, "dash", script[:end], fmt.Sprint(min(chunk, end)))
			})
		}
	})
	t.Run("a sample, piped into each shell", func(t *testing.T) {
		t.Parallel()
		eachShell(t, func(_ *testing.T, s int) {
			for length := 0; length <= longest; length++ {
				if length%67 == 0 || longest-length < 40 {
					shell(s, length, script[:length])
				}
			}
		})
	})
	t.Cleanup(func() {
		entries, err := os.ReadDir(app)
		require.NoError(t, err)
		assert.Empty(t, entries)
		assert.NoFileExists(t, log, "no command was run")
		shell(dash, len(script), script)
		assert.FileExists(t, log, "the whole script does run commands here")
	})
}
