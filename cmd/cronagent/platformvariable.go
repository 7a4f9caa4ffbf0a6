package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/table"
)

// listVariables prints the variables of the project, then those of the environment.
func (c *cliCall) listVariables(ctx context.Context) error {
	if _, err := c.checkListing(c.o.Output.Columns); err != nil {
		return err
	}
	level, err := operation.Level(c.v)
	if err != nil {
		return usage(cliUsage(c.o), "%v", err)
	}
	var rows []*table.Object
	for _, at := range []string{operation.LevelProject, operation.LevelEnvironment} {
		if level != "" && level != at {
			continue
		}
		all, err := c.readList(ctx, operation.Step{Scope: scopeOf(at), Path: "variables"}, "")
		if err != nil {
			return err
		}
		for _, v := range all {
			describeVariable(v, at)
		}
		rows = append(rows, all...)
	}
	return c.printRows(rows)
}

func scopeOf(level string) operation.Scope {
	if level == operation.LevelProject {
		return operation.OfProject
	}
	return operation.OfEnvironment
}

// describeVariable adds the level, and what tables show for the value. A sensitive
// value is shown nowhere, even if it was sent.
func describeVariable(v *table.Object, level string) {
	v.Set("level", level)
	value, _ := v.Find("value")
	if v.Values["is_sensitive"] == true {
		v.Delete("value")
		value = "[Hidden: sensitive value]"
	}
	v.Set("shown", value)
}

// findVariable finds a variable at the level that --level says, or at the only one
// that has it.
func (c *cliCall) findVariable(ctx context.Context, name string) (v *table.Object, level string, err error) {
	wanted, err := operation.Level(c.v)
	if err != nil {
		return nil, "", usage(cliUsage(c.o), "%v", err)
	}
	for _, at := range []string{operation.LevelProject, operation.LevelEnvironment} {
		if wanted != "" && wanted != at {
			continue
		}
		step := operation.Step{Scope: scopeOf(at), Path: "variables/{name}"}
		found, missing, err := c.readOne(ctx, step, map[string]string{"name": name})
		switch {
		case err != nil:
			return nil, "", err
		case missing:
		case v != nil:
			return nil, "", refused("say which one: --level project or --level environment", "%s: variable %s is there at both levels", c.o.Name, name)
		default:
			v, level = found, at
		}
	}
	if v == nil {
		return nil, "", fmt.Errorf("%s: variable not found: %s", c.o.Name, name)
	}
	return v, level, nil
}

func (c *cliCall) getVariable(ctx context.Context) error {
	ids, err := c.o.Check(c.words)
	if err != nil {
		return usage(cliUsage(c.o), "%v", err)
	}
	if len(ids) == 0 {
		c.o, _ = operation.Lookup("variable:list")
		return c.listVariables(ctx)
	}
	if _, err := c.checkListing(propertyColumns); err != nil {
		return err
	}
	v, level, err := c.findVariable(ctx, ids["name"])
	if err != nil {
		return err
	}
	property := c.v.Text("property")
	if c.v.On("pipe") {
		property = "value"
	}
	if property == "value" && v.Values["is_sensitive"] == true {
		return fmt.Errorf("%s: variable %s is sensitive, so its value cannot be read", c.o.Name, ids["name"])
	}
	return c.printVariable(v, level, property)
}

// printVariable prints the properties of a variable. What it prints beside the
// API's is its level.
func (c *cliCall) printVariable(v *table.Object, level, property string) error {
	describeVariable(v, level)
	v.Delete("shown")
	return c.printProperties(v, property)
}

// maxValue bounds a value that is read from a file, in bytes.
const maxValue = 1 << 20

// readValue reads what --value-file names, less one line end, into --value.
func (c *cliCall) readValue() error {
	name := c.v.Text("value-file")
	if name == "" && !c.v.Given("value-file") {
		return nil
	}
	if c.v.Given("value") {
		return usage("give one of them", "%s: --value and --value-file exclude each other", c.o.Name)
	}
	var in io.Reader = os.Stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return usage("- is standard input", "%s: --value-file: %v", c.o.Name, err)
		}
		defer file.Close()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, maxValue+1))
	switch {
	case err != nil:
		return usage("", "%s: --value-file: %v", c.o.Name, err)
	case len(data) > maxValue:
		return usage("", "%s: --value-file: the value has more than %d bytes", c.o.Name, maxValue)
	}
	c.v.Set("value", strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"))
	return nil
}

func (c *cliCall) createVariable(ctx context.Context) error {
	if err := c.readValue(); err != nil {
		return err
	}
	name, err := operation.VariableName(c.words, c.v)
	if err != nil {
		return usage(cliUsage(c.o), "%v", err)
	}
	request, err := c.o.Request(c.words, c.v)
	if err != nil {
		return usage("the value is better read from a file: --value-file FILE, or - for standard input", "%v", err)
	}
	request.Argument = name
	level, _ := operation.Level(c.v)
	read, cancel := context.WithTimeout(ctx, fireDeadline)
	defer cancel()
	step := operation.Step{Scope: scopeOf(level), Path: "variables/{name}"}
	existing, missing, err := c.readOne(read, step, map[string]string{"name": name})
	switch {
	case err != nil:
		return err
	case missing:
	case c.v.On("update"):
		return c.changeVariable(ctx, name, level, existing)
	default:
		return refused("to change it: --update, or variable:update", "%s: the variable exists already: %s", c.o.Name, name)
	}
	accepted, err := c.send(ctx, request)
	if err != nil {
		if _, err = c.settle(ctx, name, level, err, func(v *table.Object) bool { return v != nil }); err != nil {
			return err
		}
	}
	if v := entity(accepted); v != nil {
		return c.printVariable(v, level, "")
	}
	return nil
}

// settle reads a variable after a request of which nobody knows what became of it.
// If it is as the request was to make it, which it was not before, the request was
// taken. Nil is what is not there.
func (c *cliCall) settle(ctx context.Context, name, level string, doubt error, done func(*table.Object) bool) (*table.Object, error) {
	e, ok := errors.AsType[*platform.Error](doubt)
	if !ok || e.Kind != platform.Uncertain || ctx.Err() != nil {
		return nil, doubt
	}
	ctx, cancel := context.WithTimeout(ctx, fireDeadline)
	defer cancel()
	step := operation.Step{Scope: scopeOf(level), Path: "variables/{name}"}
	v, _, err := c.readOne(ctx, step, map[string]string{"name": name})
	if err != nil || !done(v) {
		return nil, doubt
	}
	c.warn("the answer was lost, but variable %s is as it should be", name)
	return v, nil
}

func (c *cliCall) updateVariable(ctx context.Context) error {
	ids, err := c.o.Check(c.words)
	if err != nil {
		return usage(cliUsage(c.o), "%v", err)
	}
	if err := c.readValue(); err != nil {
		return err
	}
	read, cancel := context.WithTimeout(ctx, fireDeadline)
	defer cancel()
	existing, level, err := c.findVariable(read, ids["name"])
	if err != nil {
		return err
	}
	return c.changeVariable(ctx, ids["name"], level, existing)
}

// changeVariable changes what the options say of an existing variable.
func (c *cliCall) changeVariable(ctx context.Context, name, level string, existing *table.Object) error {
	if existing.Values["inherited"] == true {
		return refused("change it there, or turn it off there with --inheritable false", "%s: variable %s is inherited from a parent environment", c.o.Name, name)
	}
	request, changed, err := operation.Change(c.o, name, level, c.v, existing.Values)
	if err != nil {
		return usage(cliUsage(c.o), "%v", err)
	}
	if !changed {
		fmt.Fprintln(c.stderr, "No changes were provided.")
		if c.v.On("allow-no-change") || c.o.Name == "variable:create" {
			return nil
		}
		return codeError(exitFailed)
	}
	accepted, err := c.send(ctx, request)
	if err != nil {
		as := func(v *table.Object) bool {
			if v == nil {
				return false
			}
			_, differs, err := operation.Change(c.o, name, level, c.v, v.Values)
			return err == nil && !differs
		}
		v, err := c.settle(ctx, name, level, err, as)
		if err != nil {
			return err
		}
		return c.printVariable(v, level, "")
	}
	v := entity(accepted)
	if v == nil { // the API does not say how it is now
		v = existing
		fields, err := table.Decode(request.Body)
		if err != nil {
			return err
		}
		set := fields.(*table.Object).Values
		for _, key := range slices.Sorted(maps.Keys(set)) {
			v.Set(key, set[key])
		}
	}
	return c.printVariable(v, level, "")
}

func (c *cliCall) deleteVariable(ctx context.Context) error {
	ids, err := c.o.Check(c.words)
	if err != nil {
		return usage(cliUsage(c.o), "%v", err)
	}
	read, cancel := context.WithTimeout(ctx, fireDeadline)
	defer cancel()
	existing, level, err := c.findVariable(read, ids["name"])
	if err != nil {
		return err
	}
	if existing.Values["inherited"] == true {
		return refused("delete it there", "%s: variable %s is inherited from a parent environment", c.o.Name, ids["name"])
	}
	if _, err = c.send(ctx, operation.Delete(c.o, ids["name"], level)); err != nil {
		_, err = c.settle(ctx, ids["name"], level, err, func(v *table.Object) bool { return v == nil })
	}
	return err
}
