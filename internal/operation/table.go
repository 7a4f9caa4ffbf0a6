package operation

import "github.com/spf13/pflag"

// Operation is one row of the table: one thing that the platform's API does for
// an environment, with the names under which the platform CLI knows it.
type Operation struct {
	// Name is the canonical name, the one that the current platform CLI lists.
	Name string
	// Aliases are its other names, those that the CLI once had among them:
	// deployed crons still call them.
	Aliases []string
	// Summary says in one line what it does.
	Summary string
	// Argument is what its one positional argument names, in plain words. Empty:
	// it takes none.
	Argument string
	// Asks tells whether the platform CLI asks before it does it, so that its --no
	// means that it is not done.
	Asks bool
	// Activity, Path, Link and Already are as in Request.
	Activity, Path, Link, Already string

	flags func(*pflag.FlagSet, *Options)
	body  func(argument string, opts Options) (any, error)
}

// table is in the order of help and messages. Paths, bodies and activity types
// are those that the vendor's CLI was seen to send and its API schema describes.
var table = []*Operation{
	{
		Name:     "backup:create",
		Aliases:  []string{"backup", "snapshot:create", "environment:backup"},
		Summary:  "take a backup of the environment",
		Asks:     true,
		Activity: "environment.backup",
		Path:     "backup",
		Link:     "#backup",
		flags: func(fs *pflag.FlagSet, opts *Options) {
			fs.BoolVar(&opts.Live, "live", false, "do not hold requests meanwhile; the backup may be inconsistent")
			// Its older name, which the platform CLI still takes without listing it.
			fs.BoolVar(&opts.Live, "unsafe", false, "the same")
			fs.Lookup("unsafe").Hidden = true
		},
		body: func(_ string, opts Options) (any, error) {
			return map[string]bool{"safe": !opts.Live}, nil
		},
	},
	{
		Name:     "source-operation:run",
		Summary:  "run a source operation of the app, such as a dependency update",
		Argument: "source operation",
		Activity: "environment.source-operation",
		Path:     "source-operation",
		Link:     "#source-operation",
		flags: func(fs *pflag.FlagSet, opts *Options) {
			fs.StringArrayVar(&opts.Variables, "variable", nil, "a variable for the operation, `TYPE:NAME=VALUE`; may be repeated")
		},
		body: func(argument string, opts Options) (any, error) {
			vars, err := variables(opts.Variables)
			if err != nil {
				return nil, err
			}
			return map[string]any{"operation": argument, "variables": vars}, nil
		},
	},
	{
		Name:     "environment:redeploy",
		Aliases:  []string{"redeploy"},
		Summary:  "redeploy the environment without a new build",
		Asks:     true,
		Activity: "environment.redeploy",
		Path:     "redeploy",
		Link:     "#redeploy",
	},
	{
		Name:     "environment:pause",
		Summary:  "pause a preview environment, which then costs and serves nothing",
		Asks:     true,
		Activity: "environment.pause",
		Path:     "pause",
		Link:     "#pause",
		Already:  "paused",
	},
	{
		Name:     "environment:resume",
		Summary:  "resume a paused environment",
		Asks:     true,
		Activity: "environment.resume",
		Path:     "resume",
		Link:     "#resume",
		Already:  "active",
	},
}

// All returns the operations in the order of help.
func All() []*Operation { return table }

// Lookup finds an operation by its name or one of its aliases, as written:
// abbreviations are not understood, since a name that is read at night must
// mean one thing.
func Lookup(name string) (*Operation, bool) {
	for _, o := range table {
		if o.Name == name {
			return o, true
		}
		for _, alias := range o.Aliases {
			if alias == name {
				return o, true
			}
		}
	}
	return nil, false
}
