package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/table"
)

// The limits of reading activities: the API gives a page at a time, and filters that
// it does not know read further pages.
const (
	activityPage = 50
	maxPages     = 20
	unbounded    = activityPage * maxPages
)

func (c *cliCall) listActivities(ctx context.Context) error {
	if c.v.On("all") { // then it matters which environment it was
		all := *c.o
		all.Output.Columns = slices.Clone(all.Output.Columns)
		i := slices.IndexFunc(all.Output.Columns, func(column operation.Column) bool { return column.Name == "environments" })
		all.Output.Columns[i].Usual = true
		c.o = &all
	}
	if _, err := c.checkListing(c.o.Output.Columns); err != nil {
		return err
	}
	if _, err := c.o.Check(c.words); err != nil {
		return usage(cliUsage(c.o), "%v", err)
	}
	limit, err := strconv.Atoi(c.v.Text("limit"))
	if err != nil || limit < 1 {
		return usage("for example: --limit 20", "%s: --limit %q is no positive number", c.o.Name, c.v.Text("limit"))
	}
	all, err := c.activities(ctx, limit)
	if err != nil {
		return err
	}
	for _, a := range all {
		a.Set("described", table.WithoutTags(a.Text("description")))
	}
	return c.printRows(all)
}

// projectTypes are types of activities that begin with project. by a name that is
// usually written without.
var projectTypes = []string{"variable.create", "variable.update", "variable.delete"}

// typeFilters are the types that the API can be asked for; all is false if there is
// a pattern among them, which it cannot.
func typeFilters(words []string) (types []string, all bool) {
	all = true
	for _, word := range words {
		switch {
		case strings.ContainsAny(word, "%*"):
			all = false
		case slices.Contains([]string{"environment", "project", "maintenance", "integration", "organization"}, strings.SplitN(word, ".", 2)[0]) && strings.Contains(word, "."):
			types = append(types, word)
		default:
			types = append(types, "environment."+word)
			if slices.Contains(projectTypes, word) {
				types = append(types, "project."+word)
			}
		}
	}
	return types, all
}

// ofType tells whether an activity's type is meant by a word.
func ofType(kind, word string) bool {
	_, short, _ := strings.Cut(kind, ".")
	return operation.Wild(word, kind) || operation.Wild(word, short)
}

// activities are the newest that fit the command's options, at most limit of them.
// States are those that are meant if the options say nothing.
func (c *cliCall) activities(ctx context.Context, limit int, states ...string) ([]*table.Object, error) {
	step := operation.Step{Path: "activities"}
	if c.v.On("all") {
		step.Scope = operation.OfProject
	}
	words, without := c.v.Words("type"), c.v.Words("exclude-type")
	types, simple := typeFilters(words)
	query := url.Values{}
	if simple {
		query["type"] = types
	}
	if c.v.On("incomplete") {
		states = []string{"in_progress", "pending"}
	}
	if given := c.v.Words("state"); len(given) > 0 {
		states = given
	}
	if len(states) > 0 {
		query["state"] = states
	}
	if result := c.v.Text("result"); result != "" {
		query.Set("result", result)
	}
	if start := c.v.Text("start"); start != "" {
		at, err := readTime(start)
		if err != nil {
			return nil, usage("for example: --start 2026-01-31 or 2026-01-31T04:00:00Z", "%s: --start: %v", c.o.Name, err)
		}
		query.Set("starts_at", at.UTC().Format("2006-01-02T15:04:05-07:00"))
	}
	filtered := !simple || len(without) > 0
	count := min(limit, activityPage)
	if filtered {
		count = activityPage
	}
	var all []*table.Object
	seen := map[string]bool{}
	for range maxPages {
		query.Set("count", strconv.Itoa(count))
		page, err := c.readList(ctx, step, query.Encode())
		if err != nil {
			return nil, err
		}
		fresh := false
		for _, a := range page {
			id := a.Text("id")
			if seen[id] {
				continue
			}
			fresh, seen[id] = true, true
			kind := a.Text("type")
			is := func(word string) bool { return ofType(kind, word) }
			if !simple && !slices.ContainsFunc(words, is) || slices.ContainsFunc(without, is) {
				continue
			}
			if all = append(all, a); len(all) == limit {
				return all, nil
			}
		}
		if !fresh || len(page) < count {
			return all, nil
		}
		query.Set("starts_at", page[len(page)-1].Text("created_at"))
	}
	return all, nil
}

// readTime reads a date, or a date and time, in UTC unless it says otherwise.
func readTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time", text)
}

// oneActivity is the activity that is named, or else the newest.
func (c *cliCall) oneActivity(ctx context.Context) (*table.Object, error) {
	ids, err := c.o.Check(c.words)
	if err != nil {
		return nil, usage(cliUsage(c.o), "%v", err)
	}
	if len(ids) > 0 {
		a, missing, err := c.readOne(ctx, c.o.Steps[0], ids)
		if missing {
			return nil, fmt.Errorf("%s: activity not found: %s", c.o.Name, ids["activity"])
		}
		return a, err
	}
	all, err := c.activities(ctx, 1)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New(c.o.Output.None)
	}
	return all[0], nil
}

func (c *cliCall) getActivity(ctx context.Context) error {
	if _, err := c.checkListing(propertyColumns); err != nil {
		return err
	}
	a, err := c.oneActivity(ctx)
	if err != nil {
		return err
	}
	a.Set("description", table.WithoutTags(a.Text("description")))
	began, err1 := time.Parse(time.RFC3339Nano, a.Text("started_at"))
	ended, err2 := time.Parse(time.RFC3339Nano, a.Text("completed_at"))
	a.Set("duration", nil)
	if seconds := int(ended.Sub(began).Seconds()); err1 == nil && err2 == nil && seconds > 0 {
		a.Set("duration", json.Number(strconv.Itoa(seconds)))
	}
	return c.printProperties(a, c.v.Text("property"))
}

// activityLog prints the log of an activity, and follows one that has not ended.
func (c *cliCall) activityLog(ctx context.Context) error {
	refresh, err := strconv.ParseFloat(c.v.Text("refresh"), 64)
	if err != nil || !(refresh >= 0 && refresh <= 3600) {
		return usage("for example: --refresh 3", "%s: --refresh %q is no number of seconds", c.o.Name, c.v.Text("refresh"))
	}
	first, cancel := context.WithTimeout(ctx, fireDeadline)
	defer cancel()
	a, err := c.oneActivity(first)
	if err != nil {
		return err
	}
	id, start, followed := a.Text("id"), 0, false
	for {
		over := slices.Contains([]string{"complete", "cancelled", "staged"}, a.Text("state"))
		look, cancel := context.WithTimeout(ctx, fireDeadline)
		items, sealed, err := c.client.ActivityLog(look, c.target.Project, id, start)
		cancel()
		if err != nil {
			return err
		}
		start += len(items)
		for _, item := range items {
			if err := c.printLogItem(item.Timestamp, item.Message); err != nil {
				return err
			}
		}
		if over || refresh == 0 {
			break
		}
		followed = true
		pause := time.Duration(refresh * float64(time.Second))
		if sealed {
			pause = min(pause, time.Second) // its end is near
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		ids := map[string]string{"activity": id}
		if a, _, err = c.readOne(ctx, c.o.Steps[0], ids); err != nil {
			return err
		}
		if a == nil {
			return fmt.Errorf("%s: activity %s is not there any more", c.o.Name, id)
		}
	}
	if followed && (a.Text("state") == "cancelled" || a.Text("result") == "failure") {
		return codeError(exitFailed)
	}
	return nil
}

// printLogItem prints a message, which may be a part of a line or several lines.
func (c *cliCall) printLogItem(timestamp, message string) error {
	if c.v.On("timestamps") {
		message = "[" + table.DateText(timestamp, c.dateFormat()) + "] " + strings.TrimSuffix(message, "\n") + "\n"
	}
	lines := strings.Split(message, "\n")
	for i, line := range lines {
		lines[i] = readable(line)
	}
	_, err := fmt.Fprint(c.stdout, strings.Join(lines, "\n"))
	return err
}
