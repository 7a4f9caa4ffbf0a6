package shell_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/shell"
)

// scripts makes up commands of every kind that is understood. Each program in
// them has a name of its own.
type scripts struct {
	*rand.Rand
	programs int
}

func (r *scripts) one(of ...string) string { return of[r.IntN(len(of))] }

func (r *scripts) program() string {
	r.programs++
	name := fmt.Sprintf("p%d", r.programs)
	return r.one("", "", "env ", "exec ", "env A=z ", "command ", "nohup ") + name
}

func (r *scripts) variable() string {
	name := r.one("A", "A", "B", "C")
	return r.one(`"$`+name+`"`, `"$`+name+`"`, `"${`+name+`}"`, "$"+name, `"${`+name+`:-main}"`, `"${`+name+`-}"`, `x$`+name, `"${`+name+`:+set}"`)
}

func (r *scripts) value() string { return r.one("main", `"main"`, "'dev'", "xmain", `""`, "set", "z") }

func (r *scripts) test(depth int) string {
	switch n := r.IntN(14); {
	case n < 4:
		return "[ " + r.variable() + r.one(" = ", " != ") + r.value() + " ]"
	case n == 4:
		return "test " + r.value() + " = " + r.variable()
	case n == 5:
		return "[ " + r.one("-n ", "-z ", "! -n ", "! ", "") + r.variable() + " ]"
	case n == 6:
		return "[ " + r.variable() + " = " + r.value() + r.one(" -a ", " -o ") + r.one("", "! ") + r.variable() + r.one(" = ", " != ") + r.value() + " ]"
	case n == 7:
		return "[ ! " + r.variable() + " = " + r.value() + " ]"
	case n == 8:
		return r.one("true", "false", ":", "[ -f /nowhere ]", `[ "$A" == main ]`, "f", "g")
	case n == 9:
		return r.program()
	case n == 10 && depth > 0:
		return "! " + r.test(0)
	case n == 11 && depth > 0:
		return "{ " + r.list(depth-1) + "; }"
	case n == 12 && depth > 0:
		return "( " + r.list(depth-1) + " )"
	}
	return "[ " + r.variable() + " = main ]"
}

func (r *scripts) statement(depth int) string {
	if depth == 0 {
		return r.one(r.program(), r.program(), r.test(0), "A="+r.value(), "export B="+r.value(), "C="+r.variable(), "unset A",
			"f", "g", "set -e", "set +e", "set -u", "exit 0", "exit 1", "A=$(p0)", "eval 'A=dev'", `sh -c '[ "$A" = main ] && exit 1'`, "return", "break", "continue 2", ": ${C:=new}")
	}
	d := depth - 1
	switch r.IntN(12) {
	case 0, 1:
		return "if " + r.list(0) + "; then " + r.list(d) + r.one("", "; elif "+r.test(d)+"; then "+r.list(d)) + r.one("", "; else "+r.list(d)) + "; fi"
	case 2:
		return "case " + r.variable() + " in " + r.one("main", "main|dev", "m*", `"*"`) + ") " + r.list(d) + ";; " + r.one("dev", "?ev", "''") + ") " + r.list(d) + r.one("", ";; *) "+r.list(d)) + " ;; esac"
	case 3:
		return r.test(d) + " && " + r.statement(d)
	case 4:
		return r.test(d) + " || " + r.statement(d)
	case 5:
		return r.test(d) + " && " + r.statement(d) + " || " + r.statement(0)
	case 6:
		return "( " + r.list(d) + " )"
	case 7:
		return r.statement(0) + " | " + r.statement(0)
	case 8:
		return "for i in 1 2; do " + r.list(d) + "; done"
	case 9:
		return "sh -" + r.one("", "e") + "c '" + strings.ReplaceAll(r.list(0), "'", `"`) + "'"
	case 10:
		return r.one("f", "g") + "() { " + r.list(d) + "; }"
	}
	return r.statement(0)
}

func (r *scripts) list(depth int) string {
	parts := []string{r.statement(depth)}
	for r.IntN(2) == 0 {
		parts = append(parts, r.statement(depth))
	}
	return strings.Join(parts, "; ")
}

// TestDashAgrees runs made-up scripts with the shell that runs crons: what was
// said to run must run, what was said not to must not.
func TestDashAgrees(t *testing.T) {
	t.Parallel()
	dash, err := exec.LookPath("dash")
	require.NoError(t, err, "the test needs dash")
	bin := t.TempDir()
	counts := map[shell.Answer]int{}
	const rounds = 400
	for i := range 60 {
		body := fmt.Sprintf("#!%s\necho p%d >>\"$RAN\"\nexit %d\n", dash, i, i%3/2)
		require.NoError(t, os.WriteFile(filepath.Join(bin, fmt.Sprintf("p%d", i)), []byte(body), 0o700))
	}
	for seed := range uint64(rounds) {
		r := &scripts{Rand: rand.New(rand.NewPCG(seed, 7))}
		text := r.list(2)
		if r.programs >= 60 {
			continue
		}
		script, err := shell.Parse(text)
		require.NoError(t, err, text)
		vars := map[string]string{"A": r.one("main", "dev", "", "a b"), "B": r.one("main", "dev"), "C": r.one("main", "z")}
		if r.IntN(3) == 0 {
			delete(vars, r.one("A", "B", "C"))
		}
		ran := filepath.Join(bin, fmt.Sprintf("ran%d", seed))
		cmd := exec.CommandContext(t.Context(), dash, "-c", text)
		cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "RAN=" + ran}
		for name, value := range vars {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		_ = cmd.Run() // its end is not what matters
		log, _ := os.ReadFile(ran)
		did := map[string]bool{}
		for _, name := range strings.Fields(string(log)) {
			did[name] = true
		}
		// A function's program may be called from more than one place.
		said := map[string][]shell.Answer{}
		for _, v := range script.Eval(func(name string) (string, bool) { value, ok := vars[name]; return value, ok }) {
			name := v.Call.Words[0].Text
			said[name] = append(said[name], v.Runs)
			counts[v.Runs]++
		}
		for name, answers := range said {
			if name[0] != 'p' {
				continue
			}
			certain, possible := false, false
			for _, a := range answers {
				certain, possible = certain || a == shell.Yes, possible || a != shell.No
			}
			require.True(t, did[name] || !certain, "seed %d: %s should have run in\n%s\nwith %v", seed, name, text, vars)
			require.True(t, !did[name] || possible || len(said["f"])+len(said["g"]) > 0, "seed %d: %s should not have run in\n%s\nwith %v", seed, name, text, vars)
		}
		for name := range did {
			if len(said["f"])+len(said["g"]) > 0 {
				break // a function that may be one of several is told by its name
			}
			require.Contains(t, said, name, "seed %d: no call in\n%s", seed, text)
		}
	}
	require.Positive(t, counts[shell.Yes])
	require.Positive(t, counts[shell.No])
	require.Less(t, counts[shell.Unknown], counts[shell.Yes], "most is understood")
}
