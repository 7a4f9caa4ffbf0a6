package main

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
)

// choose finds out which environment or project a command is about: from its
// options, its argument where it has one, and else this container's.
func (c *cliCall) choose(ctx context.Context) error {
	if c.o.Selects() == operation.OfAccount {
		return nil
	}
	c.target = platform.Target{Project: c.env.Project, Environment: c.env.ID}
	if project := c.v.Text("project"); project != "" {
		c.target.Project = project
		if strings.Contains(project, "/") {
			id, environment, ok := addressed(project)
			if !ok {
				return usage("the id stands in the project's address, after projects/", "%s: --project %q is no address of a project", c.o.Name, project)
			}
			c.target.Project = id
			if environment != "" {
				c.target.Environment = environment
			}
		}
	}
	environment := c.v.Text("environment")
	// backup:create takes the environment as an argument too.
	if len(c.o.Arguments) > 0 && c.o.Arguments[0].Environment && len(c.words) == 1 {
		if c.words[0] == "" {
			return usage("name it, or leave it out to mean this container's", "%s: the environment is empty", c.o.Name)
		}
		if environment != "" {
			return usage("", "the environment is named twice: %q and --environment %q", c.words[0], environment)
		}
		environment, c.words = c.words[0], nil
	}
	if err := envdetect.CheckID("--project", c.target.Project); err != nil {
		return err
	}
	switch {
	case environment == ".":
		if c.target.Project == "" {
			return c.noTarget()
		}
		ctx, cancel := context.WithTimeout(ctx, fireDeadline)
		defer cancel()
		id, err := c.client.DefaultEnvironment(ctx, c.target.Project)
		if err != nil {
			return err
		}
		c.target.Environment = id
	case environment != "":
		c.target.Environment = environment
	}
	return envdetect.CheckID("--environment", c.target.Environment)
}

// need says what is missing for a request below a scope.
func (c *cliCall) need(scope operation.Scope) error {
	if scope != operation.OfAccount && c.target.Project == "" || scope == operation.OfEnvironment && c.target.Environment == "" {
		return c.noTarget()
	}
	return nil
}

func (c *cliCall) noTarget() error {
	return usage("name it with --project and --environment; inside a container look at: cronagent env",
		"%s: no environment is known: PLATFORM_PROJECT and PLATFORM_BRANCH are not both set", c.o.Name)
}

// addressed reads the address of a project: of the API, …/projects/ID, or of the
// Console, …/ORGANIZATION/ID, both maybe with an environment. Which host it names
// does not matter: nothing is sent there.
func addressed(address string) (project, environment string, ok bool) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", "", false
	}
	parts := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	for i := range parts {
		if parts[i], err = url.PathUnescape(parts[i]); err != nil {
			return "", "", false
		}
	}
	for i, part := range parts {
		if part == "projects" && i+1 < len(parts) {
			if i+3 < len(parts) && parts[i+2] == "environments" {
				environment = parts[i+3]
			}
			return parts[i+1], environment, parts[i+1] != ""
		}
	}
	if len(parts) < 2 || parts[1] == "" {
		return "", "", false
	}
	if len(parts) > 2 && parts[2] != "-" { // the Console's own pages
		environment = parts[2]
	}
	return parts[1], environment, true
}

// mayChange refuses what must not be done: in a build, with --no, and without
// --yes where something is destroyed and nobody can be asked.
func (c *cliCall) mayChange(ctx context.Context) error {
	what := strings.TrimSpace(c.o.Name + " " + strings.Join(c.words[:min(len(c.words), 1)], " "))
	if c.env.Phase == envdetect.Build {
		return errBuild(what)
	}
	yes, no := c.v.On("yes"), c.v.On("no")
	// With both, neither counts.
	if yes && no {
		yes, no = false, false
	}
	if no && (c.o.Asks || c.o.Effect == operation.Destroys) {
		return fmt.Errorf("%s: not done, because of --no", what)
	}
	if c.o.Effect != operation.Destroys || yes {
		return nil
	}
	if c.v.On("no-interaction") || c.v.On("quiet") || !isTerminal(os.Stdin) {
		return usage("add --yes if you mean it", "%s: this destroys something, and nobody can be asked", what)
	}
	place := "environment " + c.target.Environment
	if level, _ := operation.Level(c.v); level == operation.LevelProject {
		place = "project " + c.target.Project
	}
	fmt.Fprintf(c.stderr, "%s, %s: are you sure? [y/N] ", safe(what), safe(place))
	answered := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
		answered <- line
	}()
	select {
	case answer := <-answered:
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "y", "yes":
			return nil
		}
	case <-ctx.Done():
		fmt.Fprintln(c.stderr)
	}
	return fmt.Errorf("%s: not done", what)
}
