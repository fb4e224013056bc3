//go:build ensemble_ack_before_commit

package fault

// AckBeforeCommit makes the log answer a batch before its transaction ends. Built with the tag
// ensemble_ack_before_commit the product is broken on purpose, and the crash
// tests must notice.
const AckBeforeCommit = true
