package operation

// valueOptions are those of variable:create and variable:update.
var valueOptions = []Option{
	{Name: "app-scope", Kind: Words, Usage: "the `apps` that have it (default: all)"},
	{Name: "value", Kind: Text, Usage: "the variable's `value`; a secret is better read from a file"},
	{Name: "value-file", Kind: Text, Usage: "read the value from a `file`; - is standard input"},
	{Name: "json", Kind: Text, Default: "false", Usage: "whether the value is JSON: `true` or false", Words: truths},
	{Name: "sensitive", Kind: Text, Default: "false", Usage: "whether nobody may read the value again: `true` or false", Words: truths},
	{Name: "enabled", Kind: Text, Default: "true", Usage: "whether the environment has it: `true` or false", Words: truths},
	{Name: "inheritable", Kind: Text, Default: "true", Usage: "whether child environments have it: `true` or false", Words: truths},
	{Name: "visible-build", Kind: Text, Usage: "whether builds have it: `true` or false", Words: truths},
	{Name: "visible-runtime", Kind: Text, Default: "true", Usage: "whether containers have it: `true` or false", Words: truths},
}

var truths = []string{"true", "false"}

const variablePath = "variables/{name}"

var variableCommands = []*Operation{
	{
		Name:    "variable:list",
		Aliases: []string{"variables", "var"},
		Summary: "list the variables of the project and the environment",
		Examples: []string{
			`cronagent variable:list`,
			`cronagent variable:list --level project --format csv --columns name,is_enabled`,
		},
		With: []Group{AtLevel, InEnvironment, Listing},
		Steps: []Step{
			{Method: get, Scope: OfProject, Path: "variables", When: "without --level environment"},
			{Method: get, Path: "variables", When: "without --level project"},
		},
		Output: Output{Kind: Rows, None: "no variables found", Columns: []Column{
			{Name: "name", Head: "Name", Usual: true}, {Name: "level", Head: "Level", Usual: true},
			{Name: "value", Head: "Value", Usual: true, InTables: "shown"}, {Name: "is_enabled", Head: "Enabled", Usual: true},
		}},
	},
	{
		Name:    "variable:get",
		Aliases: []string{"vget"},
		Summary: "print the properties of a variable, or one of them",
		Examples: []string{
			`cronagent variable:get env:GREETING`,
			`cronagent variable:get env:GREETING --level environment --property is_inheritable`,
		},
		Arguments: []Argument{{Name: "name", About: "variable"}},
		Options:   []Option{{Name: "pipe", Usage: "print the value alone"}},
		With:      []Group{AtLevel, InEnvironment, ByProperty, Listing},
		Steps: []Step{
			{Method: get, Scope: OfProject, Path: variablePath, When: "without --level environment"},
			{Method: get, Path: variablePath, When: "without --level project"},
		},
		Output: Output{Kind: Properties},
	},
	{
		Name:    "variable:create",
		Summary: "create a variable",
		Examples: []string{
			`cronagent variable:create env:GREETING --level environment --value hello`,
			`cronagent variable:create env:PLATFORMSH_CLI_TOKEN -l e --sensitive true --inheritable false --value-file token.txt`,
		},
		Arguments: []Argument{{Name: "name", About: "variable"}},
		Options: append([]Option{
			{Name: "update", Short: "u", Usage: "change it if it exists already"},
			{Name: "name", Kind: Text, Usage: "the variable's `name`; env: before it makes it a variable of the container"},
			{Name: "prefix", Kind: Text, Default: "none", Usage: "what goes before the name: `env` or none", Words: []string{"env", "none"}},
		}, valueOptions...),
		With:   []Group{AtLevel, InEnvironment, Waiting},
		Effect: Changes,
		Steps: []Step{
			{Method: get, Scope: OfLevel, Path: variablePath},
			{Method: post, Scope: OfLevel, Path: "variables"},
			{Method: patch, Scope: OfLevel, Path: variablePath, When: "with --update, if it exists"},
		},
		Activity: "environment.variable.create",
		Output:   Output{Kind: Properties},
		body:     newVariable,
	},
	{
		Name:    "variable:update",
		Summary: "change a variable",
		Examples: []string{
			`cronagent variable:update env:GREETING --value 'good morning'`,
			`cronagent variable:update env:PLATFORMSH_CLI_TOKEN --level environment --value-file - <token.txt`,
		},
		Arguments: []Argument{{Name: "name", About: "variable", Required: true}},
		Options:   append([]Option{{Name: "allow-no-change", Usage: "nothing to change is no failure"}}, valueOptions...),
		With:      []Group{AtLevel, InEnvironment, Waiting},
		Effect:    Changes,
		Steps: []Step{
			{Method: get, Scope: OfProject, Path: variablePath, When: "without --level environment"},
			{Method: get, Path: variablePath, When: "without --level project"},
			{Method: patch, Scope: OfLevel, Path: variablePath},
		},
		Activity: "environment.variable.update",
		Output:   Output{Kind: Properties},
	},
	{
		Name:    "variable:delete",
		Summary: "delete a variable",
		Examples: []string{
			`cronagent variable:delete env:GREETING --yes`,
			`cronagent variable:delete env:GREETING --level environment --environment staging --yes`,
		},
		Arguments: []Argument{{Name: "name", About: "variable", Required: true}},
		With:      []Group{AtLevel, InEnvironment, Waiting},
		Effect:    Destroys,
		Asks:      true,
		Steps: []Step{
			{Method: get, Scope: OfProject, Path: variablePath, When: "without --level environment"},
			{Method: get, Path: variablePath, When: "without --level project"},
			{Method: del, Scope: OfLevel, Path: variablePath},
		},
		Activity: "environment.variable.delete",
	},
}

var (
	newestActivities = Step{Method: get, Path: "activities", When: "if no activity is named"}
	oneActivity      = Step{Method: get, Scope: OfProject, Path: "activities/{activity}"}
)

var activityCommands = []*Operation{
	{
		Name:    "activity:list",
		Aliases: []string{"activities", "act"},
		Summary: "list what has happened to the environment",
		Examples: []string{
			`cronagent activity:list`,
			`cronagent activity:list --type backup --result failure --limit 5`,
			`cronagent activity:list --all --incomplete --format csv`,
		},
		Options: []Option{
			{Name: "limit", Kind: Text, Default: "10", Usage: "how `many` at most"},
			{Name: "start", Kind: Text, Usage: "those created before this `time`"},
		},
		With: []Group{OfType, Filters, States, InEnvironment, Listing, Dates},
		Steps: []Step{
			{Method: get, Path: "activities"},
			{Method: get, Scope: OfProject, Path: "activities", When: "with --all"},
		},
		Output: Output{Kind: Rows, None: "no activities found", Columns: []Column{
			{Name: "id", Head: "ID", Usual: true}, {Name: "created", Head: "Created", Usual: true, From: "created_at", Format: Date},
			{Name: "completed", Head: "Completed", From: "completed_at", Format: Date},
			{Name: "description", Head: "Description", Usual: true, From: "text", InTables: "described"},
			{Name: "type", Head: "Type"},
			{Name: "progress", Head: "Progress", Usual: true, From: "completion_percent", Format: Percent},
			{Name: "state", Head: "State", Usual: true, Format: Spaced}, {Name: "result", Head: "Result", Usual: true},
			{Name: "environments", Head: "Environment(s)", Format: Joined},
			{Name: "time_execute", Head: "Exec time (s)", From: "timings.execute"}, {Name: "time_wait", Head: "Wait time (s)", From: "timings.wait"},
			{Name: "time_build", Head: "Build time (s)", From: "timings.build"}, {Name: "time_deploy", Head: "Deploy time (s)", From: "timings.deploy"},
		}},
	},
	{
		Name:    "activity:get",
		Summary: "print the properties of an activity: the newest, unless one is named",
		Examples: []string{
			`cronagent activity:get`,
			`cronagent activity:get --type backup --property state`,
		},
		Arguments: []Argument{{Name: "activity", About: "activity"}},
		With:      []Group{ByProperty, OfType, Filters, States, InEnvironment, Listing, Dates},
		Steps:     []Step{oneActivity, newestActivities},
		Output:    Output{Kind: Properties, Without: []string{"log", "payload", "integration"}, None: "no activities found"},
	},
	{
		Name:    "activity:log",
		Summary: "print the log of an activity: of the newest, unless one is named",
		Examples: []string{
			`cronagent activity:log --type redeploy --refresh 0`,
			`cronagent activity:log --type backup --timestamps`,
		},
		Arguments: []Argument{{Name: "activity", About: "activity"}},
		Options: []Option{
			{Name: "refresh", Kind: Text, Default: "3", Usage: "how many `seconds` between two looks at one that has not ended; 0 looks once"},
			{Name: "timestamps", Short: "t", Usage: "print when each message came"},
		},
		With:   []Group{OfType, Filters, States, InEnvironment, Dates},
		Steps:  []Step{oneActivity, {Method: get, Scope: OfProject, Path: "activities/{activity}/log"}, newestActivities},
		Output: Output{Kind: Lines, None: "no activities found"},
	},
	{
		Name:    "activity:cancel",
		Summary: "cancel an activity: the newest that can be, unless one is named",
		Examples: []string{
			`cronagent activity:cancel --type backup --yes`,
			`cronagent activity:cancel a7c2m5x9k4q3w --yes`,
		},
		Arguments: []Argument{{Name: "activity", About: "activity"}},
		With:      []Group{OfType, Filters, InEnvironment},
		Effect:    Destroys,
		Steps: []Step{
			newestActivities,
			{Method: post, Scope: OfProject, Path: "activities/{activity}/cancel"},
		},
		Output: Output{None: "no activities that can be cancelled found"},
	},
}

var accountCommands = []*Operation{
	{
		Name:    "user:add",
		Summary: "invite somebody to the project, or change what a member may do",
		Examples: []string{
			`cronagent user:add robot@example.com --role viewer --role production:admin`,
			`cronagent user:add robot@example.com --role viewer --role production:admin --force-invite`,
		},
		Arguments: []Argument{{Name: "email", About: "user (an email address)", Required: true}},
		Options: []Option{
			{Name: "role", Short: "r", Kind: Words, Usage: "a `role` on the project (admin, viewer) or on environments of a type (production:admin); a backup user needs viewer and production:admin"},
			{Name: "force-invite", Usage: "send the invitation again"},
		},
		With:   []Group{InProject, Waiting},
		Effect: Changes,
		Asks:   true,
		Steps: []Step{
			{Method: get, Scope: OfProject, Path: "user-access"},
			{Method: post, Scope: OfProject, Path: "invitations"},
			{Method: patch, Scope: OfProject, Path: "user-access/{user}", When: "if the user has access already"},
		},
		body: invitation,
	},
	{
		Name:    "auth:info",
		Summary: "print whose token it is",
		Examples: []string{
			`cronagent auth:info`,
			`cronagent auth:info email`,
		},
		Arguments: []Argument{{Name: "property", About: "property"}},
		Options:   []Option{{Name: "refresh", Hidden: true}, {Name: "no-auto-login", Hidden: true}},
		With:      []Group{ByProperty, Listing},
		Steps:     []Step{{Method: get, Scope: OfAccount, Path: "users/me"}},
		Output: Output{Kind: Properties, Only: []string{
			"id", "first_name", "last_name", "username", "email", "phone_number_verified",
		}},
	},
	{
		Name:    "auth:api-token-login",
		Summary: "test an API token from standard input, or the one in the variable; nothing is stored",
		Examples: []string{
			`cronagent auth:api-token-login`,
			`cronagent auth:api-token-login <token.txt`,
		},
		Steps: []Step{{Method: get, Scope: OfAccount, Path: "users/me"}},
	},
}
