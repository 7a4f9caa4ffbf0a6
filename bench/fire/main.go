// Command fire measures `cronagent fire backup:create` against a shell script
// that sends the same two requests with curl, both against the built-in fake
// platform, over HTTP and over TLS: in pairs, one after the other, so that what
// the machine does meanwhile falls on both. From the top of the checkout:
//
//	go run ./bench/fire
//
// At its end it measures `version` and the overview, `cronagent` without arguments. It
// needs curl, and sh. The figures are the medians of whole processes, their
// children included, as the kernel counts them.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// script is the peer: what a careful person would write without a tool.
const script = `set -eu
token=$(curl -fsS -u platform-api-user: -d grant_type=api_token \
	--data-urlencode "api_token=$PLATFORMSH_CLI_TOKEN" "$CRONAGENT_AUTH_URL/oauth2/token" |
	sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p')
curl -fsS -X POST -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
	-d '{"safe":true}' "$CRONAGENT_API_URL/projects/$PLATFORM_PROJECT/environments/$PLATFORM_BRANCH/backup"
`

func main() {
	pairs := flag.Int("pairs", 40, "how many pairs")
	flag.Parse()
	if err := run(*pairs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(pairs int) error {
	dir, err := os.MkdirTemp("", "bench-fire-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "cronagent")
	build := exec.Command("go", "build", "-tags", "nethttpomithttp2", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", binary, "./cmd/cronagent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	for _, scheme := range []string{"http", "https"} {
		if err := compare(scheme, binary, dir, pairs); err != nil {
			return fmt.Errorf("%s: %w", scheme, err)
		}
	}
	start, err := medians(20, func() (sample, error) { return measure(exec.Command(binary, "version")) })
	if err != nil {
		return err
	}
	fmt.Printf("\nversion: wall %.1f ms, CPU %.1f ms, peak %.1f MB (20 runs)\n", start.wall, start.cpu, start.peak)
	return overview(binary, dir)
}

// compare runs both against one fake platform and prints a table.
func compare(scheme, binary, dir string, pairs int) error {
	args := []string{"sandbox", "--quiet"}
	if scheme == "https" {
		args = append(args, "--tls")
	}
	server := exec.Command(binary, args...)
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer func() {
		server.Process.Signal(syscall.SIGTERM)
		server.Wait()
	}()
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "CRONAGENT_STATE_DIR=" + filepath.Join(dir, "state"),
		"PLATFORM_PROJECT=abcdefgh1234567", "PLATFORM_BRANCH=main", "PLATFORM_ENVIRONMENT_TYPE=production", "PLATFORM_APPLICATION_NAME=app",
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		variable, ok := strings.CutPrefix(lines.Text(), "export ")
		if !ok {
			break
		}
		// In real life the two hosts differ, and so do the connections.
		if strings.HasPrefix(variable, "CRONAGENT_AUTH_URL=") {
			variable = strings.Replace(variable, "127.0.0.1", "localhost", 1)
		}
		if ca, ok := strings.CutPrefix(variable, "SSL_CERT_FILE="); ok {
			if variable, err = withSystemBundle(ca, dir); err != nil {
				return err
			}
		}
		env = append(env, variable)
	}
	peer := filepath.Join(dir, "backup.sh")
	if err := os.WriteFile(peer, []byte(script), 0o600); err != nil {
		return err
	}
	var ours, theirs []sample
	for range pairs + 1 {
		for _, side := range []struct {
			cmd *exec.Cmd
			to  *[]sample
		}{
			{exec.Command(binary, "fire", "backup:create"), &ours},
			{exec.Command("sh", peer), &theirs},
		} {
			side.cmd.Env = env
			s, err := measure(side.cmd)
			if err != nil {
				return err
			}
			*side.to = append(*side.to, s)
		}
	}
	a, b := median(ours[1:]), median(theirs[1:]) // the first pair warms up
	fmt.Printf("\n%s, %d pairs      wall        CPU         peak memory\n", scheme, pairs)
	fmt.Printf("cronagent fire      %6.1f ms   %6.1f ms   %5.1f MB\n", a.wall, a.cpu, a.peak)
	fmt.Printf("curl script         %6.1f ms   %6.1f ms   %5.1f MB\n", b.wall, b.cpu, b.peak)
	fmt.Printf("ratio               %6.2f      %6.2f      %5.2f\n", a.wall/b.wall, a.cpu/b.cpu, a.peak/b.peak)
	return nil
}

// withSystemBundle is the variable for a file that holds the authorities of this
// machine besides ours: in real life both sides read all of them.
func withSystemBundle(ca, dir string) (string, error) {
	ours, err := os.ReadFile(ca)
	if err != nil {
		return "", err
	}
	system, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		return "", err
	}
	bundle := filepath.Join(dir, "bundle.pem")
	return "SSL_CERT_FILE=" + bundle, os.WriteFile(bundle, append(system, ours...), 0o600)
}

// sample is one run: milliseconds, milliseconds and megabytes.
type sample struct{ wall, cpu, peak float64 }

func measure(cmd *exec.Cmd) (sample, error) {
	started := time.Now()
	out, err := cmd.CombinedOutput()
	wall := time.Since(started)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w: %s", cmd, err, out)
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return sample{
		wall: float64(wall.Microseconds()) / 1000,
		cpu:  float64(cpu.Microseconds()) / 1000,
		peak: float64(usage.Maxrss) / 1024, // kilobytes on Linux
	}, nil
}

func medians(n int, one func() (sample, error)) (sample, error) {
	var all []sample
	for range n {
		s, err := one()
		if err != nil {
			return sample{}, err
		}
		all = append(all, s)
	}
	return median(all), nil
}

// median is that of each figure on its own.
func median(all []sample) sample {
	of := func(figure func(sample) float64) float64 {
		var values []float64
		for _, s := range all {
			values = append(values, figure(s))
		}
		slices.Sort(values)
		middle := len(values) / 2
		if len(values)%2 == 0 {
			return (values[middle-1] + values[middle]) / 2
		}
		return values[middle]
	}
	return sample{
		of(func(s sample) float64 { return s.wall }),
		of(func(s sample) float64 { return s.cpu }),
		of(func(s sample) float64 { return s.peak }),
	}
}
