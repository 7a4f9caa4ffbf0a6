package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/table"
)

// fire sends the request of a command that is nothing but one.
func (c *cliCall) fire(ctx context.Context) error {
	request, err := c.o.Request(c.words, c.v)
	if err != nil {
		return usage(cliUsage(c.o), "%v", err)
	}
	_, err = c.send(ctx, request)
	e, ok := errors.AsType[*platform.Error](err)
	if !ok || e.Kind != platform.Uncertain || !request.Deletes() || ctx.Err() != nil {
		return err
	}
	// What is not there any more was deleted.
	read, cancel := context.WithTimeout(ctx, fireDeadline)
	defer cancel()
	if _, missing, problem := c.readOne(read, operation.Step{Scope: request.Scope, Path: request.Path}, nil); problem != nil || !missing {
		return err
	}
	c.warn("the answer was lost, but the backup is not there any more")
	return nil
}

// send sends a request that changes something, once, says what there is to say of
// it, and waits if that is wanted.
func (c *cliCall) send(ctx context.Context, request operation.Request) (platform.Accepted, error) {
	if err := c.need(request.Scope); err != nil {
		return platform.Accepted{}, err
	}
	run := c.newRun(c.env, c.target, request)
	if !c.o.Fires {
		run.ID = "" // an administrator's act is no run of a job
	}
	fireCtx, cancel := context.WithTimeout(ctx, fireDeadline)
	defer cancel()
	accepted, err := send(fireCtx, c.client, c.target, request, &run)
	if run.ID != "" {
		c.record(c.env, run)
	}
	if err != nil {
		return accepted, c.explained(request, err)
	}
	c.notSaid(c.acceptedText(accepted))
	if c.v.On("wait") && !c.v.On("no-wait") && (len(accepted.Activities) > 0 || c.o.Fires) {
		return accepted, c.awaitAll(ctx, &run, accepted.Activities)
	}
	return accepted, nil
}

func (c *cliCall) acceptedText(accepted platform.Accepted) error {
	var problems []error
	if accepted.Already {
		_, err := fmt.Fprintln(c.stdout, safe(accepted.Note))
		problems = append(problems, err)
	}
	for _, activity := range accepted.Activities {
		if activity.BackupName != "" {
			_, err := fmt.Fprintf(c.stdout, "Backup name: %s\n", safe(activity.BackupName))
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func (c *cliCall) awaitAll(ctx context.Context, run *ledger.Run, activities []platform.Activity) error {
	return c.await(ctx, c.client, c.env, run, activities, 0)
}

// explained says of what is not there what it is.
func (c *cliCall) explained(request operation.Request, err error) error {
	e, ok := errors.AsType[*platform.Error](err)
	if !ok || !e.NotFound() || request.Link != "" || request.Argument == "" {
		return err
	}
	about := "it"
	if len(c.o.Arguments) > 0 {
		about = c.o.Arguments[0].About + " " + request.Argument
	}
	return fmt.Errorf("%s: %s was not found: %w", c.o.Name, about, err)
}

// restoreBackup restores the newest backup unless one is named.
func (c *cliCall) restoreBackup(ctx context.Context) error {
	if _, err := c.o.Check(c.words); err != nil {
		return usage(cliUsage(c.o), "%v", err)
	}
	read, cancel := context.WithTimeout(ctx, fireDeadline)
	defer cancel()
	if err := c.need(operation.OfEnvironment); err != nil {
		return err
	}
	// The body names the environment, which may have been given by its machine name.
	env, err := c.client.Environment(read, c.target)
	if err != nil {
		return err
	}
	c.target.Environment = env.ID
	if len(c.words) == 0 {
		backup, err := c.newestBackup(read)
		if err != nil {
			return err
		}
		c.words = []string{backup.Text("id")}
	}
	if c.v.Text("target") == "" {
		c.v.Set("target", env.ID)
	}
	return c.fire(ctx)
}

// runOperation runs a runtime operation, of this container's app unless another
// one is named.
func (c *cliCall) runOperation(ctx context.Context) error {
	if c.v.Text("app") == "" && c.v.Text("worker") == "" && c.env.App != "" {
		c.v.Set("app", c.env.App)
	}
	return c.fire(ctx)
}

// cancelActivity cancels the newest activity that can be, unless one is named. A
// cron is not taken for it unless --type says so: it may be the one that this is
// called from.
func (c *cliCall) cancelActivity(ctx context.Context) error {
	if _, err := c.o.Check(c.words); err != nil {
		return usage(cliUsage(c.o), "%v", err)
	}
	if len(c.words) == 0 {
		read, cancel := context.WithTimeout(ctx, fireDeadline)
		defer cancel()
		all, err := c.activities(read, unbounded, "in_progress", "pending")
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(a *table.Object) bool {
			_, offered := a.Find("_links.#cancel")
			return offered && (a.Text("type") != "environment.cron" || c.v.Given("type"))
		})
		if i < 0 {
			return errors.New(c.o.Output.None)
		}
		c.words = []string{all[i].Text("id")}
	}
	return c.fire(ctx)
}

// addUser invites somebody, or changes what a member may do.
func (c *cliCall) addUser(ctx context.Context) error {
	invitation, err := c.o.Request(c.words, c.v)
	if err != nil {
		return usage("a backup user needs: user:add EMAIL --role viewer --role production:admin", "%v", err)
	}
	if err := c.need(operation.OfProject); err != nil {
		return err
	}
	read, cancel := context.WithTimeout(ctx, fireDeadline)
	defer cancel()
	members, err := c.client.Members(read, c.target.Project)
	if err != nil {
		return err
	}
	request := invitation
	if id := members[c.words[0]]; id != "" {
		if request, err = operation.Access(c.o, id, c.words[0], c.v); err != nil {
			return usage(cliUsage(c.o), "%v", err)
		}
	}
	_, err = c.send(ctx, request)
	if e, ok := errors.AsType[*platform.Error](err); ok && e.Conflict() {
		return refused("to send it again: --force-invite", "%w", err)
	}
	return err
}
