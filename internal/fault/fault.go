// Package fault makes bad days on purpose, for tests that have to see one.
//
// It guarantees that nothing in it does anything in a product build: what
// breaks the log is behind a build tag, and what injects an error is a value
// that only tests make.
package fault
