//go:build ensemble_ack_before_commit

package fault

// AckBeforeCommit makes the log answer before it commits. Built with the tag
// ensemble_ack_before_commit the product is broken on purpose, and the crash
// tests must notice.
const AckBeforeCommit = true
