package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cronagent/cronagent/internal/nearest"
	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/table"
)

// read reads one of the command's requests, with its names filled in.
func (c *cliCall) read(ctx context.Context, step operation.Step, ids map[string]string, query string) (any, error) {
	if err := c.need(step.Scope); err != nil {
		return nil, err
	}
	path := step.Fill(ids)
	if query != "" {
		path += "?" + query
	}
	raw, err := c.client.Read(ctx, c.target, step.Scope, path)
	if err != nil {
		return nil, err
	}
	value, err := table.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("read %s: the answer has an unexpected shape: %w", path, err)
	}
	return value, nil
}

// readList is read for a list of objects.
func (c *cliCall) readList(ctx context.Context, step operation.Step, query string) ([]*table.Object, error) {
	value, err := c.read(ctx, step, nil, query)
	if err != nil {
		return nil, err
	}
	list, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("%s: the API's answer is no list", c.o.Name)
	}
	var all []*table.Object
	for _, element := range list {
		if o, ok := element.(*table.Object); ok {
			all = append(all, o)
		}
	}
	return all, nil
}

// readOne is read for one object; missing is true if it is not there.
func (c *cliCall) readOne(ctx context.Context, step operation.Step, ids map[string]string) (o *table.Object, missing bool, err error) {
	value, err := c.read(ctx, step, ids, "")
	if e, ok := errors.AsType[*platform.Error](err); ok && e.NotFound() {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	if o, ok := value.(*table.Object); ok {
		return o, false, nil
	}
	return nil, false, fmt.Errorf("%s: the API's answer is no object", c.o.Name)
}

// checkListing refuses formats and columns that are not there, before anything is
// asked.
func (c *cliCall) checkListing(columns []operation.Column) ([]operation.Column, error) {
	if err := table.CheckFormat(c.format()); err != nil {
		return nil, usage(nearest.Hint(c.format(), table.Formats, ""), "%s: %v", c.o.Name, err)
	}
	chosen, err := table.Choose(columns, c.v.Words("columns"))
	if err != nil {
		hint := ""
		if unknown, ok := errors.AsType[*table.ColumnError](err); ok {
			hint = nearest.Hint(unknown.Name, unknown.Known, "")
		}
		return nil, usage(hint, "%s: %v", c.o.Name, err)
	}
	return chosen, nil
}

// format is that of tables; commands without the option have the usual one.
func (c *cliCall) format() string {
	if c.v.Text("format") == "" && !c.v.Given("format") {
		return table.Frame
	}
	return c.v.Text("format")
}

func (c *cliCall) dateFormat() string {
	if c.v.Text("date-fmt") == "" {
		return "c"
	}
	return c.v.Text("date-fmt")
}

// list prints what the command's only request lists.
func (c *cliCall) list(ctx context.Context) error {
	if _, err := c.checkListing(c.o.Output.Columns); err != nil {
		return err
	}
	if _, err := c.o.Check(c.words); err != nil {
		return usage(cliUsage(c.o), "%v", err)
	}
	rows, err := c.readList(ctx, c.o.Steps[0], "")
	if err != nil {
		return err
	}
	switch c.o.Name {
	case "backup:list":
		newestFirst(rows)
	case "source-operation:list":
		c.cutCommands(rows, "command")
	}
	return c.printRows(rows)
}

// newestFirst sorts by date of creation.
func newestFirst(rows []*table.Object) {
	slices.SortStableFunc(rows, func(a, b *table.Object) int {
		return strings.Compare(b.Text("created_at"), a.Text("created_at"))
	})
}

// maxCommandLines is how many lines of a command are shown without --full.
const maxCommandLines = 24

func (c *cliCall) cutCommands(rows []*table.Object, keys ...string) {
	if c.v.On("full") {
		return
	}
	for _, row := range rows {
		for _, key := range keys {
			if lines := strings.Split(row.Text(key), "\n"); len(lines) > maxCommandLines {
				row.Set(key, strings.Join(append(lines[:maxCommandLines], "..."), "\n"))
			}
		}
	}
}

// printRows prints rows as --format, --columns and --no-header say. None at all is
// an error, as it is for the platform CLI.
func (c *cliCall) printRows(rows []*table.Object) error {
	columns, err := c.checkListing(c.o.Output.Columns)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return errors.New(c.o.Output.None)
	}
	var header []string
	for _, column := range columns {
		header = append(header, column.Head)
	}
	var cells [][]string
	for _, row := range rows {
		var line []string
		for _, column := range columns {
			line = append(line, safeLines(c.cell(row, column)))
		}
		cells = append(cells, line)
	}
	if c.v.On("no-header") {
		header = nil
	}
	return table.Write(c.stdout, c.format(), c.screen().columns, header, cells)
}

// cell is the text of a column.
func (c *cliCall) cell(row *table.Object, column operation.Column) string {
	from := column.From
	if column.InTables != "" && c.format() == table.Frame {
		from = column.InTables
	}
	if from == "" {
		from = column.Name
	}
	value, ok := row.Find(from)
	if !ok {
		return ""
	}
	text := table.Value(from, value, c.dateFormat())
	switch column.Format {
	case operation.Date:
		return table.DateText(text, c.dateFormat())
	case operation.Opposite:
		return fmt.Sprint(value == false)
	case operation.Percent:
		if text != "" {
			text += "%"
		}
	case operation.Spaced:
		return strings.ReplaceAll(text, "_", " ")
	case operation.Title:
		return strings.ToUpper(text[:min(1, len(text))]) + text[min(1, len(text)):]
	case operation.Joined:
		if list, ok := value.([]any); ok {
			var parts []string
			for _, element := range list {
				parts = append(parts, table.Value("", element, ""))
			}
			return strings.Join(parts, ", ")
		}
	}
	return text
}

// safeLines makes each line of a text safe, and keeps the lines.
func safeLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = safe(line)
	}
	return strings.Join(lines, "\n")
}

// properties of a table of properties.
var propertyColumns = []operation.Column{{Name: "property", Head: "Property", Usual: true}, {Name: "value", Head: "Value", Usual: true}}

// printProperties prints the properties of a thing, or the one that is asked for.
func (c *cliCall) printProperties(o *table.Object, property string) error {
	columns, err := c.checkListing(propertyColumns)
	if err != nil {
		return err
	}
	if property != "" {
		return c.printProperty(o, property)
	}
	keys := c.o.Output.Only
	if keys == nil {
		keys = slices.DeleteFunc(slices.Clone(o.Keys), func(key string) bool {
			return key == "_links" || key == "_embedded" || slices.Contains(c.o.Output.Without, key)
		})
	}
	if c.o.Output.Kind == operation.Document {
		shown := &table.Object{Values: map[string]any{}}
		for _, key := range keys {
			shown.Set(key, o.Values[key])
		}
		_, err := fmt.Fprintln(c.stdout, strings.TrimSuffix(safeLines(table.YAML(shown)), "\n"))
		return err
	}
	var header []string
	for _, column := range columns {
		header = append(header, column.Head)
	}
	var rows [][]string
	for _, key := range keys {
		var row []string
		for _, column := range columns {
			text := key
			if column.Name == "value" {
				text = table.Value(key, o.Values[key], c.dateFormat())
			}
			row = append(row, safeLines(text))
		}
		rows = append(rows, row)
	}
	if c.v.On("no-header") {
		header = nil
	}
	return table.Write(c.stdout, c.format(), c.screen().columns, header, rows)
}

// printProperty prints one property bare. The value of a variable goes to a script
// as it is, to the last byte; to a terminal goes what cannot move its cursor.
func (c *cliCall) printProperty(o *table.Object, property string) error {
	value, ok := o.Find(property)
	if !ok && slices.Contains(c.o.Output.Only, property) {
		ok = true // the API leaves out what it does not know
	}
	if !ok {
		keys := c.o.Output.Only
		if keys == nil {
			keys = o.Keys
		}
		return usage("the properties are "+strings.Join(keys, ", "), "property %q not found", property)
	}
	text := table.Value(property, value, c.dateFormat())
	if isTerminal(os.Stdout) || c.o.Name != "variable:get" || property != "value" {
		text = safeLines(text)
	}
	_, err := fmt.Fprintln(c.stdout, text)
	return err
}

// property is the one that is asked for: with --property, or as an argument.
func (c *cliCall) property() string {
	if c.v.Given("property") || len(c.words) == 0 {
		return c.v.Text("property")
	}
	return c.words[0]
}

// info prints the properties of the environment, the project or the user.
func (c *cliCall) info(ctx context.Context) error {
	if _, err := c.checkListing(propertyColumns); err != nil {
		return err
	}
	if _, err := c.o.Check(c.words); err != nil {
		return usage(cliUsage(c.o), "%v", err)
	}
	step := c.o.Steps[0]
	value, err := c.read(ctx, step, nil, "")
	if err != nil {
		return err
	}
	o, ok := value.(*table.Object)
	if !ok {
		return fmt.Errorf("%s: the API's answer is no object", c.o.Name)
	}
	if step.Scope == operation.OfProject {
		o.Set("git", o.Text("repository.url"))
		o.Set("url", c.client.Address(o.Text("_links.self.href")))
	}
	return c.printProperties(o, c.property())
}

// newestBackup is the backup that is meant if none is named.
func (c *cliCall) newestBackup(ctx context.Context) (*table.Object, error) {
	all, err := c.readList(ctx, operation.Step{Path: "backups"}, "")
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New(c.o.Output.None)
	}
	newestFirst(all)
	return all[0], nil
}

func (c *cliCall) getBackup(ctx context.Context) error {
	ids, err := c.o.Check(c.words)
	if err != nil {
		return usage(cliUsage(c.o), "%v", err)
	}
	var backup *table.Object
	if len(ids) == 0 {
		backup, err = c.newestBackup(ctx)
	} else {
		var missing bool
		if backup, missing, err = c.readOne(ctx, c.o.Steps[0], ids); missing {
			return fmt.Errorf("%s: backup not found: %s", c.o.Name, ids["backup"])
		}
	}
	if err != nil {
		return err
	}
	return c.printProperties(backup, c.v.Text("property"))
}

// entity is what the API says that it has created; nil if it does not say.
func entity(accepted platform.Accepted) *table.Object {
	if accepted.Entity == nil || !json.Valid(accepted.Entity) {
		return nil
	}
	value, err := table.Decode(accepted.Entity)
	if err != nil {
		return nil
	}
	o, _ := value.(*table.Object)
	return o
}
