package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cronagent/cronagent/internal/table"
)

// listEnvironments prints environments below their parents.
func (c *cliCall) listEnvironments(ctx context.Context) error {
	if _, err := c.checkListing(c.o.Output.Columns); err != nil {
		return err
	}
	all, err := c.readList(ctx, c.o.Steps[0], "")
	if err != nil {
		return err
	}
	statuses, types := c.v.Words("status"), c.v.Words("type")
	all = slices.DeleteFunc(all, func(o *table.Object) bool {
		return c.v.On("no-inactive") && o.Text("status") == "inactive" ||
			len(statuses) > 0 && !slices.Contains(statuses, o.Text("status")) ||
			len(types) > 0 && !slices.Contains(types, o.Text("type"))
	})
	if len(all) == 0 && (c.v.On("no-inactive") || len(statuses)+len(types) > 0) {
		_, err := fmt.Fprintln(c.stderr, "No environments found (filters in use).")
		return err
	}
	by := c.v.Text("sort")
	for _, o := range all {
		if _, ok := o.Find(by); !ok {
			return usage("for example: --sort title", "%s: --sort: property %q not found", c.o.Name, by)
		}
	}
	slices.SortStableFunc(all, func(a, b *table.Object) int {
		x, _ := a.Find(by)
		y, _ := b.Find(by)
		order := strings.Compare(strings.ToLower(table.Value("", x, "c")), strings.ToLower(table.Value("", y, "c")))
		if c.v.On("reverse") {
			return -order
		}
		return order
	})
	if c.v.On("pipe") {
		for _, o := range all {
			if _, err := fmt.Fprintln(c.stdout, safe(o.Text("id"))); err != nil {
				return err
			}
		}
		return nil
	}
	return c.printRows(c.asTree(all))
}

// asTree puts environments behind their parents, in tables with an indent. One
// whose parent is not there stands at the root, as does one of a circle.
func (c *cliCall) asTree(all []*table.Object) []*table.Object {
	ids := map[string]bool{}
	for _, o := range all {
		ids[o.Text("id")] = true
	}
	done := map[*table.Object]bool{}
	var rows []*table.Object
	var below func(parent string, depth int)
	visit := func(o *table.Object, depth int) {
		if done[o] {
			return
		}
		done[o] = true
		id := o.Text("id")
		if c.format() == table.Frame {
			o.Set("id", strings.Repeat("  ", depth)+id)
		}
		rows = append(rows, o)
		below(id, depth+1)
	}
	below = func(parent string, depth int) {
		for _, o := range all {
			if p := o.Text("parent"); p == parent && p != "" {
				visit(o, depth)
			}
		}
	}
	for _, o := range all {
		if !ids[o.Text("parent")] {
			visit(o, 0)
		}
	}
	for _, o := range all {
		visit(o, 0)
	}
	return rows
}

// listOperations prints the runtime operations of the current deployment.
func (c *cliCall) listOperations(ctx context.Context) error {
	if _, err := c.checkListing(c.o.Output.Columns); err != nil {
		return err
	}
	deployment, missing, err := c.readOne(ctx, c.o.Steps[0], nil)
	if err != nil {
		return err
	}
	if missing {
		return fmt.Errorf("%s: environment %s has no deployment", c.o.Name, c.target.Environment)
	}
	var rows []*table.Object
	for _, kind := range [][2]string{{"webapps", "app"}, {"workers", "worker"}} {
		value, _ := deployment.Find(kind[0])
		services, ok := value.(*table.Object)
		only := c.v.Text(kind[1])
		other := c.v.Text(map[string]string{"app": "worker", "worker": "app"}[kind[1]])
		if !ok || only == "" && other != "" {
			continue
		}
		for _, service := range services.Keys {
			if only != "" && only != service {
				continue
			}
			app, _ := services.Values[service].(*table.Object)
			if app == nil {
				continue
			}
			operations, _ := app.Values["operations"].(*table.Object)
			if operations == nil {
				continue
			}
			for _, name := range operations.Keys {
				row := &table.Object{Values: map[string]any{}}
				row.Set("service", service)
				row.Set("name", name)
				if o, ok := operations.Values[name].(*table.Object); ok {
					for key, path := range map[string]string{"start": "commands.start", "stop": "commands.stop", "role": "role"} {
						value, _ := o.Find(path)
						row.Set(key, value)
					}
				}
				rows = append(rows, row)
			}
		}
	}
	c.cutCommands(rows, "start", "stop")
	return c.printRows(rows)
}
