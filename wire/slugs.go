package wire

import "slices"

// Slug names a kind of problem. It is the last part of a problem's type and
// never changes once released.
type Slug string

// The kinds of problems.
const (
	BadRequest          Slug = "bad-request"
	InvalidID           Slug = "invalid-id"
	InvalidParameter    Slug = "invalid-parameter"
	InvalidCursor       Slug = "invalid-cursor"
	InvalidPosition     Slug = "invalid-position"
	MalformedJSON       Slug = "malformed-json"
	IncompleteBody      Slug = "incomplete-body"
	IDMismatch          Slug = "id-mismatch"
	SelfFriendship      Slug = "self-friendship"
	InvalidKey          Slug = "invalid-idempotency-key"
	ForeignRequest      Slug = "foreign-request"
	NotFound            Slug = "not-found"
	UserNotFound        Slug = "user-not-found"
	ProjectionNotFound  Slug = "projection-not-found"
	DeadLetterNotFound  Slug = "dead-letter-not-found"
	DeadLetterUnread    Slug = "dead-letter-unreadable"
	FriendshipNotFound  Slug = "friendship-not-found"
	ErasureNotFound     Slug = "erasure-not-found"
	MethodNotAllowed    Slug = "method-not-allowed"
	NotAcceptable       Slug = "not-acceptable"
	RequestTimeout      Slug = "request-timeout"
	FriendshipExists    Slug = "friendship-exists"
	KeyInUse            Slug = "idempotency-key-in-use"
	PositionAhead       Slug = "position-ahead"
	RebuildUnderWay     Slug = "rebuild-running"
	UserErased          Slug = "user-erased"
	LogReplaced         Slug = "log-replaced"
	PreconditionFailed  Slug = "precondition-failed"
	BodyTooLarge        Slug = "body-too-large"
	URITooLong          Slug = "uri-too-long"
	UnsupportedMedia    Slug = "unsupported-media-type"
	ExpectationFailed   Slug = "expectation-failed"
	ValidationFailed    Slug = "validation-failed"
	KeyReused           Slug = "idempotency-key-reused"
	HeadersTooLarge     Slug = "headers-too-large"
	ClientClosedRequest Slug = "client-closed-request"
	Internal            Slug = "internal-error"
	BadGateway          Slug = "bad-gateway"
	Busy                Slug = "busy"
	OutcomeUnknown      Slug = "outcome-unknown"
	ProjectionBehind    Slug = "projection-behind"
	StorageFull         Slug = "storage-full"
	ShuttingDown        Slug = "shutting-down"
	TooManyConnections  Slug = "too-many-connections"
	NoInstance          Slug = "no-instance"
	UsersUnavailable    Slug = "users-unavailable"
	GatewayTimeout      Slug = "gateway-timeout"
	VersionNotSupported Slug = "http-version-not-supported"
)

// StatusClientClosed is the status recorded for a request whose client has gone;
// nobody receives it.
const StatusClientClosed = 499

// Kind is what all problems with one slug have in common.
type Kind struct {
	Slug   Slug
	Status int
	Title  string
	Help   string // what happened and what to do next
}

// Kinds returns the table of all problems, ascending by status.
func Kinds() []Kind {
	return []Kind{
		{BadRequest, 400, "Bad request", "The request could be read in more than one way, so it is not read at all. Correct it; its connection is closed."},
		{InvalidID, 400, "Invalid id", "An id is a whole number from 1 to 9223372036854775807 without sign or leading zeros. Correct it."},
		{InvalidParameter, 400, "Invalid parameter", "A query parameter is missing, repeated or out of range. Correct it."},
		{InvalidCursor, 400, "Invalid cursor", "A cursor comes from the Link of an earlier page of the same list with the same filters. Follow that link as it is, or begin again without a cursor."},
		{InvalidPosition, 400, "Invalid position", "Min-Event-Position lists positions of the logs user and friend, for instance user:18, friend:77@3f2a91c0. Correct it, or leave it out."},
		{MalformedJSON, 400, "Malformed JSON", "The body is not one JSON text. Correct it and send it again."},
		{IncompleteBody, 400, "Incomplete body", "The body ended before it was complete. Send it again."},
		{IDMismatch, 400, "Id mismatch", "The id in the body is not the one in the path. Leave it out, or make them equal."},
		{SelfFriendship, 400, "Same user twice", "A user is no friend of themself. Give the id of somebody else as friendId."},
		{InvalidKey, 400, "Invalid idempotency key", "An Idempotency-Key is 1 to 255 visible ASCII characters, bare or in double quotes, sent once."},
		{ForeignRequest, 403, "Foreign request", "The administration answers programs of its operator, no web pages: the Host has to be an address or localhost, and an Origin that host. Ask it by its address."},
		{NotFound, 404, "No such path", "Nothing is at this path. Check it against the documented routes, prefix included."},
		{UserNotFound, 404, "User not found", "Nobody has this id. Create the user first, or check the id."},
		{ProjectionNotFound, 404, "No such projection", "Nothing of this name is made from the logs. The rebuildable ones are users, friends and recommendation."},
		{DeadLetterNotFound, 404, "No such dead letter", "No record with this id is set aside. List the dead letters to see what there is."},
		{FriendshipNotFound, 404, "Friendship not found", "There is no such friendship now. List the friends of one of the two to see what there is."},
		{ErasureNotFound, 404, "Erasure not found", "The user is there and was not erased, so there is no receipt. Erase the user first, with DELETE."},
		{MethodNotAllowed, 405, "Method not allowed", "The path is right, the method is not. The Allow header lists those that work."},
		{NotAcceptable, 406, "Not acceptable", "A list comes as application/json, application/x-ndjson or text/event-stream. Name one of them in Accept, or leave the header out."},
		{RequestTimeout, 408, "Request timeout", "The request took too long to arrive; nothing was changed. Send it again, faster."},
		{FriendshipExists, 409, "Friendship exists", "This user added that friend before. Nothing has to be done."},
		{KeyInUse, 409, "Idempotency key in use", "The first request with this Idempotency-Key is still running. Send it again after Retry-After to get its answer."},
		{PositionAhead, 409, "Position ahead", "The log ends before this position. If there were events once, the log has been replaced: forget what was read, and begin anew."},
		{DeadLetterUnread, 409, "Still unreadable", "The record can't be read by this version either. Update the program, or discard the record with the reason."},
		{RebuildUnderWay, 409, "A rebuild is running", "One rebuild runs at a time. Wait until its status says done or failed, then ask again."},
		{UserErased, 410, "User erased", "The user was erased for good. Forget the id; it is never given again."},
		{LogReplaced, 410, "Log replaced", "The position belongs to another log, or to a part of this one that a restore has cut off. Forget what was read from it, and read anew."},
		{PreconditionFailed, 412, "Precondition failed", "It has changed since the version in If-Match; nothing was changed. Read it again, decide anew, and send its new ETag."},
		{BodyTooLarge, 413, "Body too large", "A body has at most 65536 bytes. Send a smaller one."},
		{URITooLong, 414, "URI too long", "Path and query have at most 16384 bytes and 100 parameters. Ask for less at a time."},
		{UnsupportedMedia, 415, "Unsupported media type", "Send the body as JSON in UTF-8 with the header Content-Type: application/json."},
		{ExpectationFailed, 417, "Expectation failed", "The only expectation known here is 100-continue. Leave the Expect header out."},
		{ValidationFailed, 422, "Validation failed", "The body breaks the rules listed in errors. Correct those members and send it again."},
		{KeyReused, 422, "Idempotency key reused", "This Idempotency-Key came before with another body. Take a new key for a new request."},
		{HeadersTooLarge, 431, "Headers too large", "A request line and its headers have at most 65536 bytes and 100 lines. Send fewer or shorter ones."},
		{ClientClosedRequest, StatusClientClosed, "Client closed request", "The client went away before the answer. Send the request again."},
		{Internal, 500, "Internal error", "Something went wrong here, not in the request. Tell the operator the requestId."},
		{BadGateway, 502, "Bad gateway", "The service broke off before it had answered. A command may or may not have happened: send it again with the same Idempotency-Key, or look first."},
		{Busy, 503, "Busy", "More commands are waiting than the log takes; nothing was changed. Send it again after Retry-After."},
		{OutcomeUnknown, 503, "Outcome unknown", "The command may or may not have happened. Send it again after Retry-After with the same Idempotency-Key, or look first."},
		{ProjectionBehind, 503, "Projection behind", "The service has not read as far as Min-Event-Position asks. Send it again after Retry-After, or with Prefer: handling=lenient to take what there is."},
		{StorageFull, 503, "Storage full", "The disk is full; nothing was changed, and reading goes on. Send it again once the operator has made room."},
		{ShuttingDown, 503, "Shutting down", "The service is stopping or has stopped; nothing was changed. Send it again after Retry-After."},
		{TooManyConnections, 503, "Too many connections", "As many clients are connected as this port takes; nothing was read. Try again after Retry-After."},
		{NoInstance, 503, "No instance", "No instance of the service takes connections; nothing was changed. Send it again after Retry-After; if it stays so, start the service or correct its address at the gateway."},
		{UsersUnavailable, 503, "User service unavailable", "The user service does not answer, so whether these people are there is not known; nothing was changed. Friendships of people who were seen lately still work. Send it again after Retry-After; if it stays so, start the user service or correct --user-url of the friend service."},
		{GatewayTimeout, 504, "Gateway timeout", "The service has not answered in time. A command may or may not have happened: send it again with the same Idempotency-Key, or look first."},
		{VersionNotSupported, 505, "HTTP version not supported", "HTTP/1.1 and HTTP/1.0 are spoken here. Send one of them."},
	}
}

// Kind returns what the slug stands for; a slug that is not in the table is an
// internal error.
func (s Slug) Kind() Kind {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Slug == s })
	if i < 0 {
		return Internal.Kind()
	}
	return kinds[i]
}
