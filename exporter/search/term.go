// Package search is the query language in which connections are searched: terms such as client:10.0.0.0/8, bytes>10MB and
// since:1h, negated with a leading -, and free text. All terms must match.
package search

// Term describes a term of the language for people.
type Term struct {
	// Name is the word before the operator, "" for free text.
	Name string
	// Operators are those that may follow: ":" or comparisons.
	Operators []string
	// Value says what the value is, Meaning what is selected, Example is a whole term.
	Value, Meaning, Example string
}

// Terms are all terms, in the order of the documentation.
var Terms []Term
