//go:build !ensemble_ack_before_commit

package fault

// AckBeforeCommit is false in every product build: a command is answered after
// its commit.
const AckBeforeCommit = false
