package operation

// Kind is the shape of what a command prints.
type Kind int

const (
	// Nothing but what there is to say of what was done, "Backup name: …".
	Nothing Kind = iota
	// Rows: a table with a row for each of what was found; none is exit code 1.
	Rows
	// Properties: a table of the properties of one thing, or one of them bare.
	Properties
	// Document: the properties of one thing as YAML, or one of them bare.
	Document
	// Lines: text.
	Lines
)

// Output is what a command prints on standard output.
type Output struct {
	Kind Kind
	// Columns are those of Rows, in the order of all of them.
	Columns []Column
	// Only are the properties that are printed, in this order. None: all.
	Only []string
	// Without are properties that are not printed unless they are asked for.
	Without []string
	// None is what is said if there is nothing.
	None string
}

// Format is how a value of a column is printed.
type Format int

const (
	Plain Format = iota
	Date
	// Opposite is what is false is true.
	Opposite
	// Percent adds a percent sign, Spaced has blanks for underscores, Title a capital
	// letter.
	Percent
	Spaced
	Title
	// Joined is a list with commas.
	Joined
)

// Column is a column of a table.
type Column struct {
	// Name is what --columns calls it, Head what stands above it.
	Name, Head string
	// Usual says that it is printed if --columns is not given.
	Usual bool
	// From is where its value is in what the API sends: names with dots between.
	// Empty: Name.
	From   string
	Format Format
	// InTables is where its value is for the format "table", if elsewhere.
	InTables string
}
