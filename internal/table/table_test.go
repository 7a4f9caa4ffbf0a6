package table_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/table"
	"github.com/cronagent/cronagent/internal/terminal"
)

var columns = []operation.Column{
	{Name: "id", Head: "ID", Usual: true}, {Name: "created", Head: "Created", Usual: true}, {Name: "type", Head: "Type"},
	{Name: "time_wait", Head: "Wait time (s)"}, {Name: "time_build", Head: "Build time (s)"},
}

func TestChooseAsThePlatformCLIDoes(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{
		"":               "id created",
		"type":           "type",
		"type id":        "type id",
		"+":              "id created",
		"+type":          "id created type",
		"type +":         "type id created",
		"+type time_%":   "id created type time_wait time_build",
		"t%":             "type time_wait time_build",
		"*":              "id created type time_wait time_build",
		"id id":          "id",
		"ID TYPE":        "id type",
		"nosuch":         "!",
		"id nosuch":      "!",
		"+nosuch":        "!",
		"x%":             "!",
		"[":              "!",
		"time_wait% (s)": "!",
	} {
		t.Run(asked, func(t *testing.T) {
			t.Parallel()
			got, err := table.Choose(columns, strings.Fields(asked))
			if want == "!" {
				require.ErrorContains(t, err, "the columns are id, created, type, time_wait, time_build")
				return
			}
			require.NoError(t, err)
			var names []string
			for _, c := range got {
				names = append(names, c.Name)
			}
			assert.Equal(t, want, strings.Join(names, " "))
		})
	}
}

func TestWriteEachFormat(t *testing.T) {
	t.Parallel()
	header := []string{"Name", "Value"}
	rows := [][]string{{"a", "1"}, {"größe", "x\ny"}, {`q"q`, "a,b\tc"}, {"short"}}
	for format, want := range map[string]string{
		"table": "+-------+-------+\n| Name  | Value |\n+-------+-------+\n| a     | 1     |\n| größe | x     |\n|       | y     |\n| q\"q   | a,b\tc |\n| short |       |\n+-------+-------+\n",
		"csv":   "Name,Value\na,1\ngröße,\"x\ny\"\n\"q\"\"q\",\"a,b\tc\"\nshort\n",
		"plain": "Name\tValue\na\t1\ngröße\tx\ny\nq\"q\ta,b\tc\nshort\n",
	} {
		var b bytes.Buffer
		require.NoError(t, table.Write(&b, format, 0, header, rows))
		assert.Equal(t, want, b.String(), format)
	}
	var b bytes.Buffer
	require.NoError(t, table.Write(&b, "tsv", 0, nil, [][]string{{"a b", "c\td"}}))
	assert.Equal(t, "a b\t\"c\td\"\n", b.String())
	b.Reset()
	require.NoError(t, table.Write(&b, "table", 0, nil, [][]string{{"a"}}))
	assert.Equal(t, "+---+\n| a |\n+---+\n", b.String())
	assert.ErrorContains(t, table.Write(&b, "yaml", 0, nil, nil), "want table, csv, tsv, plain")
}

// TestFramesFit: on a terminal text is broken at blanks and dates before their times, but
// no id and no name; where that does not suffice, each row stands alone.
func TestFramesFit(t *testing.T) {
	t.Parallel()
	header := []string{"ID", "Created", "Description", "Result"}
	rows := [][]string{
		{"hsrhrdasghyi2", "2026-01-02T03:04:05+00:00", "Somebody created a backup of Main", "success"},
		{"bkzdjjrvpgkc4", "2026-01-02T03:04:05+00:00", "Cron", "failure"},
	}
	for columns, want := range map[int]string{
		0: `
+---------------+---------------------------+-----------------------------------+---------+
| ID            | Created                   | Description                       | Result  |
+---------------+---------------------------+-----------------------------------+---------+
| hsrhrdasghyi2 | 2026-01-02T03:04:05+00:00 | Somebody created a backup of Main | success |
| bkzdjjrvpgkc4 | 2026-01-02T03:04:05+00:00 | Cron                              | failure |
+---------------+---------------------------+-----------------------------------+---------+
`,
		70: `
+---------------+---------------------+--------------------+---------+
| ID            | Created             | Description        | Result  |
+---------------+---------------------+--------------------+---------+
| hsrhrdasghyi2 | 2026-01-02T         | Somebody created a | success |
|               | 03:04:05+00:00      | backup of Main     |         |
| bkzdjjrvpgkc4 | 2026-01-02T         | Cron               | failure |
|               | 03:04:05+00:00      |                    |         |
+---------------+---------------------+--------------------+---------+
`,
		40: `
+-------------+------------------------+
| ID          | hsrhrdasghyi2          |
| Created     | 2026-01-02T            |
|             | 03:04:05+00:00         |
| Description | Somebody created a     |
|             | backup of Main         |
| Result      | success                |
+-------------+------------------------+
| ID          | bkzdjjrvpgkc4          |
| Created     | 2026-01-02T            |
|             | 03:04:05+00:00         |
| Description | Cron                   |
| Result      | failure                |
+-------------+------------------------+
`,
	} {
		var b bytes.Buffer
		require.NoError(t, table.Write(&b, table.Frame, columns, header, rows))
		assert.Equal(t, want[1:], b.String(), columns)
	}
	rows = append(rows, []string{"x", "", "東京\n    " + strings.Repeat("long", 30) + " and more", ""})
	for columns := 20; columns < 100; columns++ {
		for _, header := range [][]string{header, nil} {
			for _, count := range []int{4, 2, 1} {
				var b bytes.Buffer
				var cut [][]string
				for _, row := range rows {
					cut = append(cut, row[4-count:])
				}
				if header != nil {
					header = header[:count]
				}
				require.NoError(t, table.Write(&b, table.Frame, columns, header, cut))
				for line := range strings.Lines(b.String()) {
					assert.LessOrEqual(t, terminal.Width(strings.TrimSuffix(line, "\n")), columns, line)
				}
				if count > 1 {
					assert.GreaterOrEqual(t, strings.Count(b.String(), "o"), 30, "all of the long word is there")
				}
			}
		}
	}
}

func decode(t *testing.T, text string) *table.Object {
	t.Helper()
	value, err := table.Decode([]byte(text))
	require.NoError(t, err)
	return value.(*table.Object)
}

func TestDecodeKeepsTheOrder(t *testing.T) {
	t.Parallel()
	o := decode(t, `{"z": 1, "a": {"y": [true, null, 1.50], "b": "x"}, "m": {}, "a.b": "dotted"}`)
	assert.Equal(t, []string{"z", "a", "m", "a.b"}, o.Keys)
	for path, want := range map[string]any{
		"z": json.Number("1"), "a.y": []any{true, nil, json.Number("1.50")}, "a.b": "dotted",
	} {
		got, ok := o.Find(path)
		assert.True(t, ok, path)
		assert.Equal(t, want, got, path)
	}
	for _, path := range []string{"", "x", "z.a", "a.x", "a.y.0", "."} {
		_, ok := o.Find(path)
		assert.False(t, ok, path)
	}
	o.Set("z", "2")
	o.Set("new", "3")
	o.Delete("m")
	assert.Equal(t, []string{"z", "a", "a.b", "new"}, o.Keys)
	assert.Equal(t, "2", o.Text("z"))
	assert.Empty(t, o.Text("a"))
	for _, bad := range []string{"", "{", `{"a"}`, `{"a":1} x`, "[1", strings.Repeat("[", 1000) + strings.Repeat("]", 1000)} {
		_, err := table.Decode([]byte(bad))
		assert.Error(t, err, bad)
	}
}

// TestValues: what was seen of the vendor's tool.
func TestValues(t *testing.T) {
	t.Parallel()
	o := decode(t, `{
		"created_at": "2026-01-02T03:04:05.678901+00:00", "last_backup_at": "2026-01-02T03:04:05.678901+00:00", "expires_at": "never",
		"parent": null, "domain": null, "yes": true, "no": false, "number": 2048, "text": "a\nb", "empty": {}, "none": [],
		"environments": ["main"], "apps": ["a b", "c"],
		"repository": {"client_ssh_key": null, "url": "x@git.example:x.git"},
		"state": {"crons": {"enabled": true, "status": "running", "deep": {"a": [1, {"b": "c"}]}}, "at": "2025-01-01T00:00:00.000000+00:00", "commands": []}
	}`)
	for name, want := range map[string]string{
		"created_at": "2026-01-02T03:04:05+00:00", "last_backup_at": "2026-01-02T03:04:05.678901+00:00", "expires_at": "never",
		"parent": "null", "domain": "", "yes": "true", "no": "false", "number": "2048", "text": "a\nb", "empty": "{  }", "none": "{  }",
		"environments": "- main", "apps": "- 'a b'\n- c",
		"repository": "client_ssh_key: null\nurl: 'x@git.example:x.git'",
		"state":      "crons:\n    enabled: true\n    status: running\n    deep: { a: [1, { b: c }] }\nat: '2025-01-01T00:00:00.000000+00:00'\ncommands: {  }",
	} {
		assert.Equal(t, want, table.Value(name, o.Values[name], "c"), name)
	}
	assert.Equal(t, "02.01.2026", table.Value("created_at", o.Values["created_at"], "d.m.Y"))
	assert.Equal(t, "Cron & Bot did it", table.WithoutTags(`<user data-id="1">Cron &amp; Bot</user> did <b>it</b>`))
}

func TestScalarsHaveTheQuotesThatTheyNeed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain": "plain", "a-b_c/d.e": "a-b_c/d.e", "": "''", "true": "'true'", "Null": "'Null'", "12": "'12'", "1.5e3": "'1.5e3'", "2026-01-02": "'2026-01-02'",
		"a: b": "'a: b'", "it's": "'it''s'", "- a": "'- a'", "-a": "'-a'", "a\tb": `"a\tb"`, "ü": "ü", "a b": "'a b'", "v1.2": "v1.2", "%x": "'%x'", "a%x": "a%x",
		"0123456789abcdef": "0123456789abcdef",
	} {
		o := &table.Object{Values: map[string]any{}}
		o.Set("k", text)
		assert.Equal(t, "k: "+want+"\n", table.YAML(o), text)
	}
}

func TestDatesAsPHPHasThem(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 4, 5, 6, 78901000, time.UTC)
	for format, want := range map[string]string{
		"c": "2026-03-01T04:05:06+00:00", "r": "Sun, 01 Mar 2026 04:05:06 +0000", "U": "1772337906", "Y-m-d H:i:s": "2026-03-01 04:05:06",
		"D, jS F y": "Sun, 1st March 26", "l N w z": "Sunday 7 0 59", "W o t L": "09 2026 31 0", "g G h a A": "4 4 04 am AM", "n M": "3 Mar",
		"v u": "078 078901", "e T O P p Z I": "UTC UTC +0000 +00:00 Z 0 0", `\Y\m \\`: `Ym \`, "": "", "!": "!",
	} {
		assert.Equal(t, want, table.Date(at, format), format)
	}
	assert.Equal(t, "1", table.Date(time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC), "L"))
	for day, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 22: "22nd", 23: "23rd", 30: "30th"} {
		assert.Equal(t, want, table.Date(time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC), "jS"))
	}
}
