// Package install_test runs install.sh and dist.sh as their users do: in dash, busybox sh and bash, against web
// servers on loopback, with nothing in PATH but what the case is about. Most cases install a shell script instead
// of the binary, made by the real dist.sh around a stand-in for go; TestRelease builds and installs the real one.
package install_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/syntax"
)

func TestBuildHook(t *testing.T) {
	t.Parallel()
	none := "\x00"
	for name, environment := range map[string]string{
		"no .environment":                     none,
		".environment is empty":               "",
		".environment ends with a line end":   "export A=1\n",
		".environment ends without one":       "export A=1",
		".environment ends with an empty row": "export A=1\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, shell int) {
				url, hits := site(t, fakeDist(t), nil)
				b := newBox(t, shell, url)
				if environment != none {
					write(t, environment, b.app, ".environment")
				}
				before := contents(t, b.app)

				stderr := b.mustInstall()
				assert.Equal(t, 2, strings.Count(stderr, "\n"), stderr)
				assert.Contains(t, stderr, "installed cronagent 1.2.3")
				assert.Contains(t, stderr, ".platformsh/bin/cronagent version")
				assert.Equal(t, read(t, fakeDist(t), binaryName), read(t, b.path("cronagent")))
				for _, link := range []string{"platform", "upsun", "webpaas"} {
					target, err := os.Readlink(b.path(link))
					require.NoError(t, err)
					assert.Equal(t, "cronagent", target)
				}
				entries, err := os.ReadDir(b.path())
				require.NoError(t, err)
				assert.Len(t, entries, 4, "no temporary file is left")
				assert.Equal(t, "/usr/bin:"+b.path(), b.sourced("PATH"), "our folder is last, and there once")
				assert.Equal(t, "upsun", b.sourced("CRONAGENT_VENDOR"))
				if strings.Contains(environment, "A=1") {
					assert.Equal(t, "1", b.sourced("A"))
				}

				stdout, stderr, status := run(t, b.command("", "-c", ".platformsh/bin/cronagent version"))
				require.Zero(t, status, stderr)
				assert.Equal(t, binaryName+" version\n", stdout)

				after, requests := tree(t, b.app), hits.Load()
				stderr = b.mustInstall()
				assert.Contains(t, stderr, "already there: cronagent 1.2.3")
				assert.Equal(t, after, tree(t, b.app), "running it again changes nothing")
				assert.Equal(t, requests, hits.Load(), "and downloads nothing")

				assert.Contains(t, b.mustInstall("--uninstall"), "removed")
				assert.Equal(t, before, contents(t, b.app))
				assert.Contains(t, b.mustInstall("--uninstall"), "nothing to remove")
			})
		})
	}
}

// A pipe has the status of sh, and sh is content with nothing.
func TestHookFailsWithoutDownload(t *testing.T) {
	t.Parallel()
	alive, _ := site(t, fakeDist(t), nil)
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, c := range []struct {
		name, url, before, reached string
		status                     int
	}{
		{"no install.sh", gone.URL, "", "after the pipe", 127},
		{"no install.sh, with set -e", gone.URL, "set -e", "after the pipe", 127},
		{"no binary", alive, "", "after the pipe", 127}, // the server that its install.sh names is gone
		{"no binary, with set -e", alive, "set -e", "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, dash, "")
			require.NoError(t, os.Symlink(program(t, "dash"), filepath.Join(b.bin, "sh")))
			before := tree(t, b.app)
			hook := c.before + "\ncurl -fsS " + c.url + "/install.sh | sh\nprintf 'after the pipe'\n.platformsh/bin/cronagent version"
			stdout, stderr, status := run(t, b.command("", "-c", hook))
			assert.Equal(t, c.status, status, stderr)
			assert.Equal(t, c.reached, stdout)
			assert.Contains(t, stderr, "curl: (7)")
			assert.Equal(t, before, tree(t, b.app))
		})
	}
}

// refusal is a case in which nothing is installed, and nothing at all is changed in the application's folder.
type refusal struct {
	name   string
	serve  func(w http.ResponseWriter, r *http.Request, files http.Handler)
	setup  func(b *box)
	args   []string
	status int
	says   []string
}

func edit(old, replacement string) func(*box) {
	return func(b *box) {
		require.Contains(b.t, b.script, old)
		b.script = strings.Replace(b.script, old, replacement, 1)
	}
}

func env(pairs ...string) func(*box) {
	return func(b *box) {
		for i := 0; i < len(pairs); i += 2 {
			b.env[pairs[i]] = pairs[i+1]
		}
	}
}

func without(names ...string) func(*box) {
	return func(b *box) { b.remove(names...) }
}

func uname(system, machine string) func(*box) {
	return func(b *box) {
		b.stub("uname", `case $1 in -s) echo `+system+`;; -m) echo `+machine+`;; esac`)
	}
}

func gzipped(text string) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write([]byte(text)) // a bytes.Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

func answer(content []byte) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = w.Write(content) }
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	otherSum := strings.Repeat("ab", 32)
	other := env("CRONAGENT_VERSION", "9.9.9", "CRONAGENT_SHA256", otherSum)
	sumLine := func(kind string) string {
		line, _, _ := strings.Cut(read(t, fakeDist(t), "install.sh")[strings.Index(read(t, fakeDist(t), "install.sh"), kind+"_sum_"+runtime.GOARCH+"='"):], "\n")
		return line
	}
	cases := []refusal{
		{name: "wrong checksum", serve: answer(gzipped("evil")), status: 1, says: []string{"has sha256 " + sum(string(gzipped("evil"))), "nothing was installed"}},
		{name: "wrong binary in an unknown download", serve: answer(gzipped("evil")), setup: other, status: 1, says: []string{"holds a binary with sha256 " + sum("evil") + ", not " + otherSum}},
		{name: "a page instead of a download", serve: answer([]byte("<html>")), setup: other, status: 1, says: []string{"is not a gzip file"}},
		{name: "missing checksum of the binary", setup: edit(sumLine("binary"), "binary_sum_"+runtime.GOARCH+"=''"), status: 1, says: []string{"has no checksum for linux/" + runtime.GOARCH}},
		{name: "damaged checksum of the binary", setup: edit(sumLine("binary"), "binary_sum_"+runtime.GOARCH+"='abc'"), status: 1, says: []string{"has no checksum for linux/" + runtime.GOARCH}},
		{name: "no tool to verify with", setup: without("sha256sum"), status: 1, says: []string{"no sha256sum, no shasum, no openssl"}},
		{name: "a tool to verify with that fails", setup: func(b *box) { b.stub("sha256sum", "exit 1") }, status: 1, says: nil},
		{name: "unknown machine", setup: uname("Linux", "riscv64"), status: 1, says: []string{`"Linux riscv64"`, "x86_64"}},
		{name: "32 bits", setup: uname("Linux", "i686"), status: 1, says: []string{`"Linux i686"`}},
		{name: "unknown system", setup: uname("Darwin", "arm64"), status: 1, says: []string{`"Darwin arm64"`}},
		{name: "interrupted download", status: 1, says: []string{"cannot download", "nothing was installed"}, serve: func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(make([]byte, 50000))
			panic(http.ErrAbortHandler)
		}},
		{name: "no such file", serve: func(w http.ResponseWriter, r *http.Request, _ http.Handler) { http.NotFound(w, r) }, status: 1, says: []string{"cannot download", "/" + binaryName + ".gz", "CRONAGENT_BASE_URL"}},
		{name: "dead server", setup: func(b *box) { delete(b.env, "CRONAGENT_BASE_URL") }, status: 1, says: []string{"cannot download http://127.0.0.1:"}},
		{name: "no curl and no wget", setup: without("curl", "wget"), status: 1, says: []string{"no curl, no wget"}},
		{name: "a missing tool", setup: without("gzip"), status: 1, says: []string{`"gzip" is missing`}},
		{name: "another version without its sum", setup: env("CRONAGENT_VERSION", "9.9.9"), status: 2, says: []string{"checksums of 1.2.3, not those of 9.9.9", "hint: set CRONAGENT_SHA256"}},
		{name: "a version that is a path", setup: env("CRONAGENT_VERSION", "../9", "CRONAGENT_SHA256", otherSum), status: 2, says: []string{"CRONAGENT_VERSION is not a version"}},
		{name: "pinned to another sum", setup: env("CRONAGENT_SHA256", otherSum), status: 1, says: []string{"CRONAGENT_SHA256 is " + otherSum}},
		{name: "pinned to no sum", setup: env("CRONAGENT_SHA256", "abc"), status: 2, says: []string{"64 hexadecimal digits"}},
		{name: "plain http to another machine", setup: env("CRONAGENT_BASE_URL", "http://192.0.2.1/x"), status: 2, says: []string{"is not https"}},
		{name: "another machine that begins like this one", setup: env("CRONAGENT_BASE_URL", "http://127.0.0.1.evil.test"), status: 2, says: []string{"is not https"}},
		{name: "another machine behind an at sign", setup: env("CRONAGENT_BASE_URL", "http://127.0.0.1:80@evil.test"), status: 2, says: []string{"characters that it must not have"}},
		{name: "a file instead of a server", setup: env("CRONAGENT_BASE_URL", "file:///etc"), status: 2, says: []string{"is not https"}},
		{name: "never published", setup: env("CRONAGENT_BASE_URL", placeholder), status: 1, says: []string{"is a placeholder", "--base-url"}},
		{name: "not made by dist.sh", setup: func(b *box) { b.script = read(t, "install.sh") }, status: 1, says: []string{"is a source file", "hint: make one that does: ./dist.sh VERSION"}},
		{name: "unknown argument", args: []string{"--force"}, status: 2, says: []string{`unknown argument "--force"`, "--help"}},
		{name: "links neither yes nor no", setup: env("CRONAGENT_LINKS", "maybe"), status: 2, says: []string{`CRONAGENT_LINKS is "maybe"`}},
		{name: "no application folder", setup: env("PLATFORM_APP_DIR", "/nonexistent"), status: 1, says: []string{`"/nonexistent", and there is no such folder`}},
		{name: "relative application folder", setup: env("PLATFORM_APP_DIR", "."), status: 1, says: []string{"not the absolute path"}},
		{name: "the root as target", setup: env("CRONAGENT_INSTALL_DIR", "/"), status: 2, says: []string{"is not a folder to install into"}},
		{name: "a target with dots", setup: env("CRONAGENT_INSTALL_DIR", "../bin"), status: 2, says: []string{"is not a folder to install into"}},
		{name: "neither a build nor a HOME", setup: func(b *box) { delete(b.env, "HOME"); delete(b.env, "PLATFORM_APP_DIR") }, status: 1, says: []string{"HOME is not set", "CRONAGENT_INSTALL_DIR"}},
		{name: "a file where the folder should be", setup: func(b *box) { write(b.t, "", b.app, ".platformsh") }, status: 1, says: []string{"cannot make the folder", "CRONAGENT_INSTALL_DIR"}},
		{name: "a folder where the binary should be", setup: func(b *box) { write(b.t, "", b.path("cronagent", "x")) }, status: 1, says: []string{"is a folder"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, shell int) {
				url, _ := site(t, fakeDist(t), c.serve)
				b := newBox(t, shell, url)
				if c.setup != nil {
					c.setup(b)
				}
				before := tree(t, b.app)
				stderr, status := b.install(c.args...)
				assert.Equal(t, c.status, status, stderr)
				assert.Contains(t, stderr, "cronagent: error: ")
				for _, text := range c.says {
					assert.Contains(t, stderr, text)
				}
				assert.Equal(t, before, tree(t, b.app), "nothing is left behind")
			})
		})
	}
}

func TestReadOnlyTarget(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell int) {
		url, _ := site(t, fakeDist(t), nil)
		b := newBox(t, shell, url)
		b.env["PLATFORM_BRANCH"] = "main"
		require.NoError(t, os.Chmod(b.app, 0o555))
		t.Cleanup(func() { _ = os.Chmod(b.app, 0o755) })
		cmd := b.command(b.script)
		if os.Geteuid() == 0 {
			// Root writes anywhere; nobody does not.
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		before := tree(t, b.app)
		_, stderr, status := run(t, cmd)
		assert.Equal(t, 1, status)
		assert.Contains(t, stderr, "cronagent: error: cannot make the folder "+b.path())
		assert.Contains(t, stderr, "hint: the application is read-only at run time: install in the build hook")
		assert.Equal(t, before, tree(t, b.app))
	})
}

func TestSignalInTheMiddle(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell int) {
		begun, dropped, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
		var once sync.Once
		url, _ := site(t, fakeDist(t), func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(make([]byte, 50000))
			w.(http.Flusher).Flush()
			once.Do(func() { close(begun) })
			select {
			case <-r.Context().Done():
				close(dropped)
			case <-over: // or the server waits for a client that waits for it
			}
		})
		t.Cleanup(func() { close(over) })
		b := newBox(t, shell, url)
		before := tree(t, b.app)
		cmd := b.command(b.script)
		require.NoError(t, cmd.Start())
		<-begun
		// To the shell alone, as a supervisor does that knows no process groups.
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		assert.Equal(t, 143, cmd.ProcessState.ExitCode(), cmd.ProcessState)
		select {
		case <-dropped:
		case <-time.After(20 * time.Second):
			assert.Fail(t, "the download goes on without the installer")
		}
		assert.Equal(t, before, tree(t, b.app))
	})
}

func TestWaysToVerifyAndToDownload(t *testing.T) {
	t.Parallel()
	for _, hasher := range []string{"sha256sum", "shasum", "openssl"} {
		for _, loader := range []string{"curl", "wget"} {
			t.Run(hasher+" and "+loader, func(t *testing.T) {
				t.Parallel()
				url, _ := site(t, fakeDist(t), nil)
				b := newBox(t, dash, url)
				b.remove("curl", "wget", "sha256sum")
				b.tool(hasher)
				b.tool(loader)
				b.mustInstall()
				assert.FileExists(t, b.path("cronagent"))
			})
		}
	}
	t.Run("curl before wget, and only https from elsewhere", func(t *testing.T) {
		t.Parallel()
		b := newBox(t, dash, "https://192.0.2.1/folder/")
		b.stub("curl", `echo "args: $*" >&2; exit 22`)
		b.stub("wget", `echo wget >&2; exit 1`)
		stderr, status := b.install()
		assert.Equal(t, 1, status)
		assert.Contains(t, stderr, "--proto =https --tlsv1.2 -fsSL --retry 3")
		assert.Contains(t, stderr, " https://192.0.2.1/folder/"+binaryName+".gz")
		assert.NotContains(t, stderr, "wget")
	})
	t.Run("a second attempt after a drop", func(t *testing.T) {
		t.Parallel()
		eachShell(t, func(t *testing.T, shell int) {
			var dropped atomic.Bool
			url, _ := site(t, fakeDist(t), func(w http.ResponseWriter, r *http.Request, files http.Handler) {
				if dropped.CompareAndSwap(false, true) {
					panic(http.ErrAbortHandler)
				}
				files.ServeHTTP(w, r)
			})
			b := newBox(t, shell, url)
			b.mustInstall()
			assert.FileExists(t, b.path("cronagent"))
		})
	})
	for machine, arch := range map[string]string{"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"} {
		t.Run(machine+" is "+arch, func(t *testing.T) {
			t.Parallel()
			url, _ := site(t, fakeDist(t), nil)
			b := newBox(t, dash, url)
			uname("Linux", machine)(b)
			b.mustInstall()
			assert.Contains(t, read(t, b.path("cronagent")), "linux-"+arch)
		})
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	t.Run("the sum of this version, in capitals", func(t *testing.T) {
		t.Parallel()
		url, _ := site(t, fakeDist(t), nil)
		b := newBox(t, dash, url)
		env("CRONAGENT_VERSION", version, "CRONAGENT_SHA256", strings.ToUpper(sum(read(t, fakeDist(t), binaryName))))(b)
		b.mustInstall()
		assert.FileExists(t, b.path("cronagent"))
	})
	t.Run("another version with its sum", func(t *testing.T) {
		t.Parallel()
		eachShell(t, func(t *testing.T, shell int) {
			url, _ := site(t, fakeDist(t), func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
				assert.Equal(t, "/cronagent-0.9.0-rc.1-linux-"+runtime.GOARCH+".gz", r.URL.Path)
				_, _ = w.Write(gzipped("older"))
			})
			b := newBox(t, shell, url)
			env("CRONAGENT_VERSION", "0.9.0-rc.1", "CRONAGENT_SHA256", sum("older"))(b)
			assert.Contains(t, b.mustInstall(), "installed cronagent 0.9.0-rc.1")
			assert.Equal(t, "older", read(t, b.path("cronagent")))
		})
	})
	t.Run("a newer version replaces the binary", func(t *testing.T) {
		t.Parallel()
		url, _ := site(t, fakeDist(t), nil)
		b := newBox(t, dash, url)
		write(t, "older github.com/cronagent/cronagent", b.path("cronagent"))
		b.mustInstall()
		assert.Equal(t, read(t, fakeDist(t), binaryName), read(t, b.path("cronagent")))
	})
}

func TestCache(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell int) {
		url, hits := site(t, fakeDist(t), nil)
		cache := t.TempDir()
		cached := filepath.Join(cache, "cronagent", binaryName+".gz")
		published := read(t, fakeDist(t), binaryName+".gz")
		build := func() (stderr string, requests int32) {
			t.Helper()
			before := hits.Load()
			b := newBox(t, shell, url)
			b.env["PLATFORM_CACHE_DIR"] = cache
			stderr = b.mustInstall()
			assert.Equal(t, read(t, fakeDist(t), binaryName), read(t, b.path("cronagent")))
			return stderr, hits.Load() - before
		}
		downloads := func(want int32, why string) {
			t.Helper()
			_, requests := build()
			assert.Equal(t, want, requests, why)
			assert.Equal(t, published, read(t, cached), why)
		}
		downloads(1, "the first build downloads and keeps it")
		downloads(0, "the next one takes what was kept")
		write(t, published[:len(published)-1], cached)
		downloads(1, "damaged: downloaded again and repaired")
		write(t, string(gzipped("planted by another branch")), cached)
		downloads(1, "not the right one: downloaded again and repaired")
		require.NoError(t, os.Remove(cached))
		require.NoError(t, os.Symlink("/dev/zero", cached))
		downloads(1, "no file: replaced")
		entries, err := os.ReadDir(filepath.Dir(cached))
		require.NoError(t, err)
		assert.Len(t, entries, 1, "no temporary file is left")

		b := newBox(t, shell, url)
		b.env["PLATFORM_CACHE_DIR"] = cache
		b.mustInstall()
		b.mustInstall("--uninstall")
		assert.NoDirExists(t, filepath.Dir(cached))

		write(t, "", cache, "cronagent")
		stderr, requests := build()
		assert.EqualValues(t, 1, requests)
		assert.Contains(t, stderr, "warning: could not keep the download")
	})
}

func TestScriptsAreCleanShell(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"install.sh", "dist.sh"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.Command(program(t, "shellcheck"), "-s", "sh", name).CombinedOutput()
			assert.NoError(t, err, string(out))
			source := read(t, name)
			file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX), syntax.KeepComments(true)).Parse(strings.NewReader(source), name)
			require.NoError(t, err)
			var formatted bytes.Buffer
			require.NoError(t, syntax.NewPrinter().Print(&formatted, file))
			assert.Equal(t, formatted.String(), source, "shfmt -ln=posix -w "+name)
			for _, s := range shells {
				out, err := exec.Command(program(t, s.argv[0]), append(s.argv[1:len(s.argv):len(s.argv)], "-n", name)...).CombinedOutput()
				assert.NoError(t, err, string(out))
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell int) {
		b := newBox(t, shell, "")
		stdout, stderr, status := run(t, b.command(b.script, "-s", "--", "--help"))
		assert.Zero(t, status)
		assert.Empty(t, stderr)
		for _, text := range []string{"1.2.3", "--uninstall", "CRONAGENT_VERSION", "CRONAGENT_BASE_URL", "CRONAGENT_INSTALL_DIR", "CRONAGENT_SHA256", "CRONAGENT_LINKS", "CRONAGENT_VENDOR"} {
			assert.Contains(t, stdout, text)
		}
	})
}
