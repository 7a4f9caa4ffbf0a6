package operation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// table is in the order of help and messages. Paths, bodies and activity types
// are those that the vendor's CLI was seen to send and its API schema describes;
// columns and what there is to say are its own too.
var table = slices.Concat(environmentCommands, backupCommands, variableCommands, activityCommands, accountCommands)

var environmentCommands = []*Operation{
	{
		Name:    "backup:create",
		Aliases: []string{"backup", "snapshot:create", "environment:backup"},
		Summary: "take a backup of the environment",
		Examples: []string{
			`cronagent backup:create --yes --no-wait`,
			`cronagent backup:create --project abcdefgh1234567 --environment staging --live --wait`,
		},
		FireExamples: []string{
			`cronagent fire backup:create`,
			`cronagent fire backup:create --live --environment-types production,staging`,
			`cronagent fire backup:create --wait --timeout 20m`,
		},
		Arguments: []Argument{{Name: "environment", About: "environment", Environment: true}},
		Options: []Option{
			{Name: "live", Usage: "do not hold requests meanwhile; the backup may be inconsistent"},
			// Its older name, which the platform CLI still takes without listing it.
			{Name: "unsafe", Usage: "the same", Hidden: true},
		},
		With:     []Group{InEnvironment, Waiting},
		Effect:   Changes,
		Asks:     true,
		Fires:    true,
		Steps:    []Step{{Method: post, Path: "backup"}},
		Activity: "environment.backup",
		Link:     "#backup",
		body: func(_ []string, v Values) (any, error) {
			return map[string]bool{"safe": !v.On("live") && !v.On("unsafe")}, nil
		},
	},
	{
		Name:    "source-operation:run",
		Summary: "run a source operation of the app, such as a dependency update",
		Examples: []string{
			`cronagent source-operation:run update --no-wait`,
			`cronagent source-operation:run update --variable env:UPSTREAM=main --wait`,
		},
		FireExamples: []string{
			`cronagent fire source-operation:run update`,
			`cronagent fire source-operation:run update --variable env:UPSTREAM=main --dry-run`,
		},
		Arguments: []Argument{{Name: "source-operation", About: "source operation", Required: true}},
		Options: []Option{
			{Name: "variable", Kind: List, Usage: "a variable for the operation, `TYPE:NAME=VALUE`; may be repeated"},
		},
		With:     []Group{InEnvironment, Waiting},
		Effect:   Changes,
		Fires:    true,
		Steps:    []Step{{Method: post, Path: "source-operation"}},
		Activity: "environment.source-operation",
		Link:     "#source-operation",
		body: func(args []string, v Values) (any, error) {
			vars, err := operationVariables(v.List("variable"))
			if err != nil {
				return nil, err
			}
			return map[string]any{"operation": args[0], "variables": vars}, nil
		},
	},
	{
		Name:    "environment:redeploy",
		Aliases: []string{"redeploy"},
		Summary: "redeploy the environment without a new build",
		Examples: []string{
			`cronagent environment:redeploy --yes --no-wait`,
			`cronagent environment:redeploy --environment staging --wait`,
		},
		FireExamples: []string{
			`cronagent fire environment:redeploy`,
			`cronagent fire redeploy --environment-types staging --json`,
		},
		With:     []Group{InEnvironment, Waiting},
		Effect:   Changes,
		Asks:     true,
		Fires:    true,
		Steps:    []Step{{Method: post, Path: "redeploy"}},
		Activity: "environment.redeploy",
		Link:     "#redeploy",
	},
	{
		Name:    "environment:pause",
		Summary: "pause a preview environment, which then costs and serves nothing",
		Examples: []string{
			`cronagent environment:pause --environment staging --yes`,
			`cronagent environment:pause --project abcdefgh1234567 --environment staging --wait`,
		},
		FireExamples: []string{
			`cronagent fire environment:pause --environment-types staging,development`,
			`cronagent fire environment:pause --project abcdefgh1234567 --environment staging --environment-types staging`,
		},
		With:     []Group{InEnvironment, Waiting},
		Effect:   Changes,
		Asks:     true,
		Fires:    true,
		Steps:    []Step{{Method: post, Path: "pause"}},
		Activity: "environment.pause",
		Link:     "#pause",
		Already:  "paused",
	},
	{
		Name:    "environment:resume",
		Summary: "resume a paused environment",
		Examples: []string{
			`cronagent environment:resume --environment staging --yes`,
			`cronagent environment:resume --environment staging --wait`,
		},
		FireExamples: []string{
			`cronagent fire environment:resume --environment-types staging`,
			`cronagent fire environment:resume --project abcdefgh1234567 --environment staging --environment-types any`,
		},
		With:     []Group{InEnvironment, Waiting},
		Effect:   Changes,
		Asks:     true,
		Fires:    true,
		Steps:    []Step{{Method: post, Path: "resume"}},
		Activity: "environment.resume",
		Link:     "#resume",
		Already:  "active",
	},
	{
		Name:    "environment:synchronize",
		Aliases: []string{"sync"},
		Summary: "synchronize code, data or resources of a preview environment from its parent",
		Examples: []string{
			`cronagent environment:synchronize data --environment staging --yes`,
			`cronagent sync code data --rebase --environment staging --wait`,
		},
		FireExamples: []string{
			`cronagent fire environment:synchronize data --environment-types staging`,
			`cronagent fire environment:synchronize code data --rebase --environment-types staging,development`,
		},
		Arguments: []Argument{{Name: "what", About: "parts to synchronize", Many: true, Words: []string{"code", "data", "resources"}}},
		Options:   []Option{{Name: "rebase", Usage: "synchronize code by rebasing instead of merging"}},
		With:      []Group{InEnvironment, Waiting},
		Effect:    Changes,
		Asks:      true,
		Fires:     true,
		Steps:     []Step{{Method: post, Path: "synchronize"}},
		Activity:  "environment.synchronize",
		Link:      "#synchronize",
		body:      synchronize,
	},
	{
		Name:    "environment:list",
		Aliases: []string{"environments", "env"},
		Summary: "list the project's environments",
		Examples: []string{
			`cronagent environment:list`,
			`cronagent environment:list --type production,staging --pipe`,
		},
		Options: []Option{
			{Name: "no-inactive", Short: "I", Usage: "leave inactive ones out"},
			{Name: "status", Kind: Words, Usage: "those in these `states`: active, inactive, dirty, paused, deleting", Words: []string{"active", "inactive", "dirty", "paused", "deleting"}},
			{Name: "type", Kind: Words, Usage: "those of these `types`", Words: environmentTypes},
			{Name: "pipe", Usage: "print the ids alone"},
			{Name: "sort", Kind: Text, Default: "title", Usage: "the `property` to sort by"},
			{Name: "reverse", Usage: "sort in descending order"},
			{Name: "refresh", Kind: Text, Hidden: true},
		},
		With:  []Group{InProject, Listing},
		Steps: []Step{{Method: get, Scope: OfProject, Path: "environments"}},
		Output: Output{Kind: Rows, None: "no environments found", Columns: []Column{
			{Name: "id", Head: "ID", Usual: true}, {Name: "machine_name", Head: "Machine name"},
			{Name: "title", Head: "Title", Usual: true}, {Name: "status", Head: "Status", Usual: true, Format: Title},
			{Name: "type", Head: "Type", Usual: true}, {Name: "created", Head: "Created", From: "created_at", Format: Date},
			{Name: "updated", Head: "Updated", From: "updated_at", Format: Date},
		}},
	},
	{
		Name:    "environment:info",
		Aliases: []string{"environment:metadata"},
		Summary: "print the properties of the environment, or one of them",
		Examples: []string{
			`cronagent environment:info`,
			`cronagent environment:info status --environment staging`,
		},
		Arguments: []Argument{{Name: "property", About: "property"}},
		Options:   []Option{{Name: "refresh", Hidden: true}},
		With:      []Group{InEnvironment, Listing, Dates},
		Steps:     []Step{{Method: get}},
		Output:    Output{Kind: Properties},
	},
	{
		Name:    "project:info",
		Aliases: []string{"project:metadata"},
		Summary: "print the properties of the project, or one of them",
		Examples: []string{
			`cronagent project:info`,
			`cronagent project:info title --project abcdefgh1234567`,
		},
		Arguments: []Argument{{Name: "property", About: "property"}},
		Options:   []Option{{Name: "refresh", Hidden: true}},
		With:      []Group{InProject, Listing, Dates},
		Steps:     []Step{{Method: get, Scope: OfProject}},
		Output:    Output{Kind: Properties},
	},
	{
		Name:    "source-operation:list",
		Aliases: []string{"source-ops"},
		Summary: "list the source operations of the environment",
		Examples: []string{
			`cronagent source-operation:list`,
			`cronagent source-operation:list --environment staging --format csv --columns operation,app`,
		},
		Options: []Option{{Name: "full", Usage: "print whole commands, not their first 24 lines"}},
		With:    []Group{InEnvironment, Listing},
		Steps:   []Step{{Method: get, Path: "source-operations"}},
		Output: Output{Kind: Rows, None: "no source operations found", Columns: []Column{
			{Name: "operation", Head: "Operation", Usual: true}, {Name: "app", Head: "App", Usual: true}, {Name: "command", Head: "Command", Usual: true},
		}},
	},
	{
		Name:    "operation:list",
		Aliases: []string{"ops"},
		Summary: "list the runtime operations of the environment",
		Examples: []string{
			`cronagent operation:list`,
			`cronagent operation:list --app app --full`,
		},
		Options: []Option{
			{Name: "full", Usage: "print whole commands, not their first 24 lines"},
			{Name: "app", Short: "A", Kind: Text, Usage: "those of this `app`"},
			{Name: "worker", Kind: Text, Usage: "those of this `worker`"},
		},
		With:  []Group{InEnvironment, Listing},
		Steps: []Step{{Method: get, Path: "deployments/current"}},
		Output: Output{Kind: Rows, None: "no runtime operations found", Columns: []Column{
			{Name: "service", Head: "Service", Usual: true}, {Name: "name", Head: "Operation name", Usual: true},
			{Name: "start", Head: "Start command", Usual: true}, {Name: "stop", Head: "Stop command"}, {Name: "role", Head: "Role"},
		}},
	},
	{
		Name:    "operation:run",
		Summary: "run a runtime operation of the app",
		Examples: []string{
			`cronagent operation:run clear-cache --app app`,
			`cronagent operation:run clear-cache --app app --environment staging --wait`,
		},
		Arguments: []Argument{{Name: "operation", About: "operation", Required: true}},
		Options: []Option{
			{Name: "app", Short: "A", Kind: Text, Usage: "the `app` that defines it (default: this container's)"},
			{Name: "worker", Kind: Text, Usage: "the `worker` that defines it"},
		},
		With:     []Group{InEnvironment, Waiting},
		Effect:   Changes,
		Asks:     true,
		Steps:    []Step{{Method: post, Path: "deployments/current/operations"}},
		Activity: "environment.operation",
		body: func(args []string, v Values) (any, error) {
			service := v.Text("app")
			if worker := v.Text("worker"); worker != "" {
				service = worker
			}
			if service == "" {
				return nil, errors.New("operation:run needs the app that defines the operation: --app NAME")
			}
			return map[string]any{"operation": args[0], "service": service}, nil
		},
	},
}

// synchronize is the body of environment:synchronize. Words may stand in one
// argument, as they do in a record.
func synchronize(args []string, v Values) (any, error) {
	words := strings.FieldsFunc(strings.Join(args, " "), func(r rune) bool { return r == ' ' || r == ',' })
	body := map[string]bool{"synchronize_code": false, "synchronize_data": false, "rebase": v.On("rebase")}
	for _, word := range words {
		switch word {
		case "both": // of older versions
			body["synchronize_code"], body["synchronize_data"] = true, true
		case "code", "data", "resources":
			body["synchronize_"+word] = true
		default:
			return nil, fmt.Errorf("environment:synchronize: %q: want code, data or resources", word)
		}
	}
	if len(words) == 0 {
		return nil, errors.New("environment:synchronize needs to know what: code, data or resources")
	}
	return body, nil
}

var backupCommands = []*Operation{
	{
		Name:    "backup:list",
		Aliases: []string{"backups", "snapshots", "snapshot:list"},
		Summary: "list the backups of the environment",
		Examples: []string{
			`cronagent backup:list`,
			`cronagent backup:list --environment staging --columns created_at,id,status --format csv`,
		},
		With:  []Group{InEnvironment, Listing, Dates},
		Steps: []Step{{Method: get, Path: "backups"}},
		Output: Output{Kind: Rows, None: "no backups found", Columns: []Column{
			{Name: "created_at", Head: "Created", Usual: true, Format: Date}, {Name: "id", Head: "Backup ID", Usual: true},
			{Name: "restorable", Head: "Restorable", Usual: true}, {Name: "automated", Head: "Automated"},
			{Name: "commit_id", Head: "Commit ID"}, {Name: "expires_at", Head: "Expires", Format: Date},
			{Name: "index", Head: "Index"}, {Name: "live", Head: "Live", From: "safe", Format: Opposite},
			{Name: "status", Head: "Status"}, {Name: "updated_at", Head: "Updated", Format: Date},
		}},
	},
	{
		Name:    "backup:get",
		Summary: "print the properties of a backup: the newest, unless one is named",
		Examples: []string{
			`cronagent backup:get`,
			`cronagent backup:get --property created_at`,
		},
		Arguments: []Argument{{Name: "backup", About: "backup"}},
		With:      []Group{InEnvironment, ByProperty, Dates},
		Steps: []Step{
			{Method: get, Path: "backups/{backup}"},
			{Method: get, Path: "backups", When: "if no backup is named"},
		},
		Output: Output{Kind: Document, None: "no backups found"},
	},
	{
		Name:    "backup:restore",
		Aliases: []string{"snapshot:restore", "environment:restore"},
		Summary: "restore a backup: the newest, unless one is named",
		Examples: []string{
			`cronagent backup:restore --target staging --yes`,
			`cronagent backup:restore --environment main --target restored --branch-from main --no-code --yes`,
		},
		Arguments: []Argument{{Name: "backup", About: "backup"}},
		Options: []Option{
			{Name: "target", Kind: Text, Usage: "the `environment` to restore to (default: the backup's own)"},
			{Name: "branch-from", Kind: Text, Usage: "the parent `environment` of a target that does not exist yet"},
			{Name: "no-code", Usage: "restore data only"},
			{Name: "no-resources", Usage: "leave the target's resources as they are"},
			{Name: "resources-init", Kind: Text, Usage: "the `resources` of new services", Words: []string{"backup", "parent", "default", "minimum"}},
		},
		With:   []Group{InEnvironment, Waiting},
		Effect: Destroys,
		Asks:   true,
		Steps: []Step{
			{Method: get},
			{Method: get, Path: "backups", When: "if no backup is named"},
			{Method: post, Path: "backups/{backup}/restore"},
		},
		Activity: "environment.restore",
		Output:   Output{None: "no backups found"},
		body:     restore,
	},
	{
		Name:    "backup:delete",
		Summary: "delete a backup",
		Examples: []string{
			`cronagent backup:delete b3kq7xw2m5n8p --yes`,
			`cronagent backup:delete b3kq7xw2m5n8p --project abcdefgh1234567 --environment staging --yes`,
		},
		Arguments: []Argument{{Name: "backup", About: "backup", Required: true}},
		With:      []Group{InEnvironment, Waiting},
		Effect:    Destroys,
		Asks:      true,
		Steps:     []Step{{Method: del, Path: "backups/{backup}"}},
		Activity:  "environment.backup.delete",
	},
}

// restore is the body of backup:restore; the caller has put the target's name into
// --target if it was not given.
func restore(_ []string, v Values) (any, error) {
	body := map[string]any{"environment_name": v.Text("target")}
	if from := v.Text("branch-from"); from != "" {
		body["branch_from"] = from
	}
	if v.On("no-code") {
		body["restore_code"] = false
	}
	if v.On("no-resources") {
		body["restore_resources"] = false
	}
	if init := v.Text("resources-init"); init != "" {
		if !slices.Contains([]string{"backup", "parent", "default", "minimum"}, init) {
			return nil, fmt.Errorf("--resources-init %q: want backup, parent, default or minimum", init)
		}
		if v.On("no-resources") {
			return nil, errors.New("--resources-init and --no-resources exclude each other")
		}
		body["resources"] = map[string]string{"init": init}
	}
	return body, nil
}
